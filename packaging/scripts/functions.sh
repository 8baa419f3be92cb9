# What the packages do when they are installed, upgraded and removed. They start nothing, enable
# nothing, and change no swap.

ramster_has_systemd() {
  [ -d /run/systemd/system ]
}

# After the files are there. $1: the version before, empty for the first one.
ramster_installed() {
  systemd-sysusers ramster.conf
  systemd-tmpfiles --create ramster.conf || true
  if ramster_has_systemd; then systemctl daemon-reload || true; fi
  [ -n "$1" ] || return 0
  # The kernel says so of a program whose file was replaced.
  for link in /proc/[0-9]*/exe; do
    [ "$(readlink "$link")" = "/usr/bin/ramster (deleted)" ] || continue
    pid=${link#/proc/}
    echo "ramster: process ${pid%/exe} runs version $1. It is not restarted: see ramster(1), UPGRADE"
  done
}

# Before the files go: pages of the kernel must not end with their node.
ramster_removing() {
  for note in /run/ramster-swap/nbd*; do
    device=/dev/${note##*/}
    grep -q "^$device " /proc/swaps 2>/dev/null || continue
    echo "ramster: the kernel swaps on $device. Bring its pages home first:" >&2
    echo "ramster:     ramster swap off --device $device" >&2
    return 1
  done
  if ramster_has_systemd; then
    systemctl stop 'ramster-swap-rotate@*.timer' 'ramster-swap@*.service' || return 1
    systemctl stop 'ramster-node@*.service' ramster-server.service || return 1
  fi
}

ramster_removed() {
  if ramster_has_systemd; then systemctl daemon-reload || true; fi
}

# Links of units that somebody enabled, and what is empty. Keys and configurations are the user's.
ramster_purged() {
  find /etc/systemd/system -type l -name 'ramster-*' -lname '/*/systemd/system/ramster-*' -delete \
    2>/dev/null || true
  rmdir /var/lib/ramster /run/ramster 2>/dev/null || true
  rmdir /etc/ramster 2>/dev/null || [ ! -d /etc/ramster ] ||
    echo "ramster: the keys and configurations in /etc/ramster stay. Remove them yourself"
}
