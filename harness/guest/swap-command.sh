#!/bin/busybox sh
# In the guest: this program as root of a kernel that refuses it nothing, and that has nbd. What it
# says is read by guest.test.ts; an end other than 0 is a failure.
#
#     swap-command.sh HOST:PORT EXPORT MIB
set -e
address=$1 export=$2 mib=$3

ramster node --number=1 --gossip=none --listen=127.0.0.1:0 --memory=32MiB --swap=strict \
  --client=unix:/run/client.sock &
node=$!
until [ -S /run/client.sock ]; do
  kill -0 "$node"
  sleep 0.2
done
echo "GUEST oom score $(cat "/proc/$node/oom_score_adj")"
# The sixth word behind the name holds the flags of a thread; 0x80000 is what it takes.
for stat in /proc/"$node"/task/*/stat; do
  flags=$(sed 's/.*) //' "$stat" | cut -d' ' -f7)
  [ $((flags & 0x80000)) != 0 ] || { echo "GUEST FAIL a thread is no IO flusher"; exit 1; }
done

ramster swap on --nbd "$address" --export "$export"
if ramster swap on --nbd "$address" --export "$export"; then exit 1; fi
ramster swap status
walk "$mib" 1 pageout
ramster swap off --nbd "$address" --export "$export"
ramster swap off --nbd "$address" --export "$export"
ramster swap status

kill "$node"
wait "$node"
