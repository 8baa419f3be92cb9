#!/bin/busybox sh
# In the guest: this program as root of a kernel that refuses it nothing, and that has nbd. The
# kernel swaps on the node that runs on it, and the node's pages go to a lender outside. What it
# says is read by kernels.ts; an end other than 0 is a failure.
#
#     swap-command.sh LENDER EXPORT MIB
set -e
lender=$1 export=$2 mib=$3
address=unix:/run/nbd.sock tcp=127.0.0.1:10809

ramster node --number=1 --gossip=none --listen=127.0.0.1:0 --insecure --memory=8MiB --lend=0 \
  --swap=strict --peers="2@$lender" --target=2 --client=unix:/run/client.sock \
  --nbd="$address,$tcp" --export="$export=512MiB" &
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
# The same export by the same address, by another spelling of it, and by another address.
for again in "$address" unix:/run/../run/nbd.sock "$tcp"; do
  if ramster swap on --nbd "$again" --export "$export"; then exit 1; fi
done
if ramster swap off --nbd "$address" --export "x$export"; then exit 1; fi
ramster swap status
walk "$mib" 1 pageout
ramster stats --client unix:/run/client.sock | sed -n 's/^ *pers_pages_remoted  */GUEST away /p'
ramster swap off --nbd "$address" --export "$export"
ramster swap off --nbd "$address" --export "$export"
ramster swap status

kill "$node"
wait "$node"
