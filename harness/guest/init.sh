#!/bin/busybox sh
# The first program of the guest. It switches swap on, on its disk or on an export. It runs `walk`,
# which fills more memory than the guest has, and switches swap off again. guest.ts reads its
# output. The kernel's command line has its settings:
#
#     ramster.swap=disk                          the disk /dev/vda
#     ramster.swap=program                       runs swap-command.sh instead, on the same export
#     ramster.swap=full                          runs full-memory.sh instead
#     ramster.swap=killed ramster.kills=N        runs killed-node.sh instead
#     ramster.swap=standby ramster.kills=N       runs standby.sh instead
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
  # The full programs come before those of busybox, as on a usual system.
  PATH=/sbin:/bin:/busybox swap-command.sh "10.0.2.2:$(word port)" "$(word export)" "$(word mib)" ||
    finish "FAIL swap-command.sh ended with $?"
  finish "OK"
fi
case "$(word swap)" in
full) script=full-memory.sh ;;
killed) script=killed-node.sh ;;
standby) script=standby.sh ;;
*) script= ;;
esac
if [ -n "$script" ]; then
  PATH=/sbin:/bin:/busybox "$script" "$(word export)" "$(word mib)" "$(word passes)" \
    "$(word kills)" || finish "FAIL $script ended with $?"
  finish "OK"
fi

device=/dev/vda
if [ "$(word swap)" = nbd ]; then
  device=/dev/nbd0
  # The network card needs memory at once for each packet. By default, the kernel of so small a
  # machine keeps 1.4 MiB free. That runs out at times, and then the answers wait for swap.
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
[ "$(wc -l </proc/swaps)" = 1 ] || finish "FAIL swap is still on after swapoff"
[ "$(word swap)" = nbd ] && nbd-client -d "$device" >/dev/null
finish "OK"
