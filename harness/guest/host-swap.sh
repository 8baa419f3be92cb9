#!/bin/sh
# Lets the kernel of this machine swap on an NBD export, through nbdfuse and a loop device, while
# `walk` asks for its own pages to be swapped out. Whatever fails, swap is off before nbdfuse or the
# node ends.
#
#     host-swap.sh FOLDER URI WALK MIB PASSES
#
#     walk -> kernel's swap -> /dev/loopN -> FOLDER/disk, by nbdfuse -> URI
set -eu
folder=$1 uri=$2 walk=$3 mib=$4 passes=$5
file=$folder/disk loop='' fuse=''

cleanup() {
  trap - EXIT INT TERM
  if [ -n "$loop" ]; then
    # The loop device must not be detached while it is swap.
    swapoff "$loop" 2>/dev/null || true
    if grep -q "^$loop " /proc/swaps; then echo "HOST FAIL $loop is still swap"; exit 1; fi
    losetup --detach "$loop"
  fi
  if [ -n "$fuse" ]; then umount "$file" 2>/dev/null || true; wait "$fuse" || true; fi
}
trap cleanup EXIT
trap 'exit 1' INT TERM

: >"$file"
nbdfuse -P "$folder/pid" "$file" "$uri" &
fuse=$!
until [ -s "$folder/pid" ]; do
  kill -0 "$fuse"
  sleep 0.05
done
loop=$(losetup --find --show --direct-io=on "$file")
mkswap "$loop" >/dev/null
swapon --discard --priority 0 "$loop"
timeout 60 "$walk" "$mib" "$passes" pageout
swapoff "$loop"
if grep -q "^$loop " /proc/swaps; then exit 1; fi
echo "HOST OK"
