#!/bin/busybox sh
# Runs in the guest as root. The guest's kernel swaps on a node in the guest, while a program takes
# more memory than the machine has: even init is swapped out. kernels.ts reads its output. An exit
# code other than 0 is a failure.
#
#     full-memory.sh EXPORT MIB PASSES      MIB: how much more than is available
set -e
export=$1 more=$2 passes=$3
address=unix:/run/nbd.sock

ramster node --number=1 --gossip=none --listen=127.0.0.1:0 --insecure --memory=160MiB --lend=0 \
  --swap=strict --client=unix:/run/client.sock --nbd="$address" --export="$export=256MiB" &
node=$!
until [ -S /run/client.sock ]; do
  kill -0 "$node"
  sleep 0.2
done
ramster swap on --nbd "$address" --export "$export" --client unix:/run/client.sock
grep -q ^ramster: /sys/block/nbd0/backend
available=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)
walk $((available / 1024 + more)) "$passes"
ramster status --client unix:/run/client.sock
ramster swap off --nbd "$address" --export "$export" --client unix:/run/client.sock

kill "$node"
wait "$node"
