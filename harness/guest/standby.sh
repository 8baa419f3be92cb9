#!/bin/busybox sh
# Runs in the guest as root. The guest's kernel swaps on a node in the guest that has a standby. The
# process that serves is killed several times meanwhile. kernels.ts reads its output. An exit code
# other than 0 is a failure.
#
#     standby.sh EXPORT MIB PASSES KILLS      PASSES: at most
#
#     MIB > 0     a program takes so much more memory than is available: even init is swapped out
#     MIB < 0     a program has so much, and asks the kernel to swap it out
set -e
export=$1 more=$2 passes=$3 kills=$4
address=unix:/run/nbd.sock
client=unix:/run/client.sock

mkfifo /run/log.pipe
tee /run/log </run/log.pipe >&2 &
ramster node --name=kept --number=1 --gossip=none --listen=127.0.0.1:0 --insecure --lend=0 \
  --memory=160MiB --swap=strict --keep=auto --client="$client" --nbd="$address" \
  --export="$export=256MiB" 2>/run/log.pipe &
node=$!
# Each process that serves logs one such line when its standby is ready.
until_standbys() {
  until [ "$(grep -c 'a standby is ready' /run/log)" -ge "$1" ]; do
    kill -0 "$node"
    sleep 0.2
  done
}
# Waits until so many more pages were swapped in and out.
pages() {
  sed -n 's/^pswp\(in\|out\) //p' /proc/vmstat | awk '{ sum += $1 } END { print sum }'
}
until_swapped() {
  to=$(($(pages) + $1))
  until [ "$(pages)" -ge "$to" ]; do
    kill -0 "$walk"
    sleep 0.2
  done
}

until_standbys 1
ramster swap on --nbd "$address" --export "$export" --client "$client"
if [ "$more" -gt 0 ]; then
  available=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)
  walk $((available / 1024 + more)) "$passes" &
else
  walk $((-more)) "$passes" pageout &
fi
walk=$!
for kill in $(seq "$kills"); do
  until_standbys "$kill"
  until_swapped 3000
  # The older one of the two serves.
  serves=$(grep -l "^PPid:.$node\$" /proc/[0-9]*/status | cut -d/ -f3 | sort -n | head -n 1)
  kill -9 "$serves"
  echo "GUEST kill $kill of $serves at $(cut -d' ' -f1 /proc/uptime)"
done
# The last process serves a while, too.
until_swapped 3000
kill "$walk"
wait "$walk"
ramster status --client "$client"
ramster swap off --nbd "$address" --export "$export" --client "$client"
[ ! -e /sys/block/nbd0/backend ]
kill "$node"
wait "$node"
[ ! -e /run/ramster-keep ]
