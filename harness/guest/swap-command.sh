#!/bin/busybox sh
# Runs in the guest as root, on a kernel that has nbd and allows everything. The guest's kernel
# swaps on a node in the guest, and the node's pages go to a lender outside. kernels.ts reads its
# output. An exit code other than 0 is a failure.
#
#     swap-command.sh LENDER EXPORT MIB
set -e
lender=$1 export=$2 mib=$3
address=unix:/run/nbd.sock tcp=127.0.0.1:10809

ramster node --number=1 --gossip=none --listen=127.0.0.1:0 --insecure --memory=8MiB --lend=0 \
  --swap=strict --peers="2@$lender" --target=2 --client=unix:/run/client.sock \
  --nbd="$address,$tcp" --export="$export=512MiB,fresh=512MiB" &
node=$!
until [ -S /run/client.sock ]; do
  kill -0 "$node"
  sleep 0.2
done
echo "GUEST oom score $(cat "/proc/$node/oom_score_adj")"
# Field 9 of a thread's stat is its flags (proc(5)). 0x80000 is PF_MEMALLOC_NOIO.
for stat in /proc/"$node"/task/*/stat; do
  flags=$(sed 's/.*) //' "$stat" | cut -d' ' -f7)
  [ $((flags & 0x80000)) != 0 ] || { echo "GUEST FAIL a thread is no IO flusher"; exit 1; }
done

ramster swap on --nbd "$address" --export "$export"
# `swap on` must recognize the export under any of its addresses and spellings.
for same in "$address" unix:/run/../run/nbd.sock "$tcp"; do
  if ramster swap on --nbd "$same" --export "$export"; then exit 1; fi
done
if ramster swap off --nbd "$address" --export "x$export"; then exit 1; fi
ramster swap status
walk "$mib" 1 pageout
ramster stats --client unix:/run/client.sock | sed -n 's/^ *pers_pages_remoted  */GUEST away /p'

# The pages of two programs share clusters, so those of the one that ends stay stored. Swap is
# rotated under the other one.
walk $((mib / 4)) 1 pageout &
short=$!
walk $((mib / 2)) 2 pageout &
long=$!
# Pages that the memory cannot hold stay where they are.
until [ "$(sed -n '2s/.*partition[[:space:]]*[0-9]*[[:space:]]*\([0-9]*\).*/\1/p' /proc/swaps)" -gt 0 ]; do
  sleep 0.1
done
echo "MemAvailable: 0 kB" >/run/meminfo
mount --bind /run/meminfo /proc/meminfo
if ramster swap off --nbd "$address" --export "$export"; then exit 1; fi
umount /proc/meminfo
[ "$(wc -l </proc/swaps)" = 2 ] || { echo "GUEST FAIL swap is off"; exit 1; }
wait "$short"
rotate="ramster swap rotate --nbd $address --export $export,fresh --client unix:/run/client.sock"
ramster status --client unix:/run/client.sock
$rotate --stale 99%
$rotate --stale 1%
ramster swap status
wait "$long"
ramster swap off --nbd "$address" --export "$export,fresh"
ramster swap off --nbd "$address" --export "$export"
ramster swap status

kill "$node"
wait "$node"
