#!/bin/busybox sh
# Runs in the guest as root. The guest's kernel swaps on a node in the guest that keeps its memory.
# The node is killed while a program uses its swap, and started again, several times. kernels.ts
# reads its output. An exit code other than 0 is a failure.
#
#     killed-node.sh EXPORT MIB PASSES KILLS
set -e
export=$1 mib=$2 passes=$3 kills=$4
address=unix:/run/nbd.sock
client=unix:/run/client.sock

start() {
  ramster node --name=kept --number=1 --gossip=none --listen=127.0.0.1:0 --insecure --lend=0 \
    --memory=128MiB --no-swap --keep=auto --client="$client" --nbd="$address" \
    --export="$export=256MiB" >/run/ready &
  node=$!
  until grep -q ^ready /run/ready; do
    kill -0 "$node"
    sleep 0.1
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
    sleep 0.1
  done
}

start
grep -q "^ramster /run/ramster-keep/kept tmpfs .*huge=advise" /proc/mounts
ramster swap on --nbd "$address" --export "$export" --client "$client"
echo "GUEST backend $(cat /sys/block/nbd0/backend)"
walk "$mib" "$passes" pageout &
walk=$!
for kill in $(seq "$kills"); do
  until_swapped 2000
  kill -9 "$node"
  wait "$node" || true
  start
  echo "GUEST kill $kill"
done
wait "$walk"
ramster swap status
ramster swap off --nbd "$address" --export "$export" --client "$client"
[ ! -e /sys/block/nbd0/backend ]
kill "$node"
wait "$node"
[ ! -e /run/ramster-keep ]
