#!/bin/busybox sh
# The first and only program of the guest: makes swap of what its disk or the network has, lets
# `walk` fill more memory than there is, and switches swap off again. What it says is read by
# guest.ts; the kernel's command line has what it is to do:
#
#     ramster.swap=disk                          the disk /dev/vda
#     ramster.swap=program                       swap-command.sh does it, on the same export
#     ramster.swap=nbd ramster.port=P ramster.export=NAME    an export of the host, by nbd-client
#     ramster.mib=N ramster.passes=N             for walk
/bin/busybox mkdir -p /proc /sys /dev /run /var/run
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mkdir /busybox
/bin/busybox --install -s /busybox
export PATH=/busybox:/bin:/sbin

word() {
  sed -n "s/.*ramster\.$1=\([^ ]*\).*/\1/p" /proc/cmdline
}

finish() {
  echo "GUEST $1"
  poweroff -f
  sleep 60
}

for module in $(cat /modules/order); do
  insmod "/modules/$module.ko" || finish "FAIL insmod $module"
done

ip link set lo up
if [ "$(word swap)" = program ]; then
  ip link set eth0 up && ip addr add 10.0.2.15/24 dev eth0 || finish "FAIL no network"
  # What systems have under these names is not what busybox has.
  PATH=/sbin:/bin:/busybox swap-command.sh "10.0.2.2:$(word port)" "$(word export)" "$(word mib)" ||
    finish "FAIL swap-command.sh ended with $?"
  finish "OK"
fi

device=/dev/vda
if [ "$(word swap)" = nbd ]; then
  device=/dev/nbd0
  # What the network card takes in needs memory at once. With what a kernel keeps free by itself in
  # so small a machine (1.4 MiB) the card runs dry now and then, and its answers wait for swap.
  echo 16384 >/proc/sys/vm/min_free_kbytes || finish "FAIL min_free_kbytes"
  ip link set eth0 up && ip addr add 10.0.2.15/24 dev eth0 || finish "FAIL no network"
  nbd-client 10.0.2.2 "$(word port)" "$device" -N "$(word export)" -swap -b 4096 -persist ||
    finish "FAIL nbd-client"
fi

mkswap "$device" >/dev/null || finish "FAIL mkswap"
swapon -d "$device" || finish "FAIL swapon"
echo "GUEST swap on $(sed 1d /proc/swaps | tr -s '\t ' ' ')"
walk "$(word mib)" "$(word passes)" || finish "FAIL walk ended with $?"
swapoff "$device" || finish "FAIL swapoff"
[ "$(wc -l </proc/swaps)" = 1 ] || finish "FAIL swap is still on"
[ "$(word swap)" = nbd ] && nbd-client -d "$device" >/dev/null
finish "OK"
