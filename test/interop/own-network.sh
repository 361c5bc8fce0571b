#!/usr/bin/env bash
# Runs a command in a network and a process table of its own, as root: the interop tests take port 25 and port 8080
# there, and no packet can leave the machine. Of networks there is the loopback interface alone; it also has
# 10.10.10.10, to which the example configurations push. The system's resolver asks 127.0.0.53.
#
# Promises: the command's status; 1 when it ended well but left a program running. Nothing outlives this script,
# whatever ends it.
set -euo pipefail

if [ "${1:-}" != --inside ]; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "$0: needs root, as mail servers do" >&2
    exit 1
  fi
  # unshare itself does not mind signals; it dies with this shell, and everything inside with it.
  setpriv --pdeathsig KILL \
    unshare --net --mount --pid --fork --kill-child --mount-proc "$0" --inside "$@" <&0 &
  inside=$!
  trap 'kill -KILL "$inside"; exit 1' TERM INT HUP
  wait "$inside"
  exit
fi
shift
export IN_OWN_NETWORK=1

ip link set lo up
ip address add 10.10.10.10/32 dev lo
if [ -e /etc/resolv.conf ]; then
  resolver=$(mktemp)
  echo 'nameserver 127.0.0.53' > "$resolver"
  chmod 644 "$resolver"
  mount --bind "$resolver" /etc/resolv.conf
  rm "$resolver"
fi

status=0
"$@" || status=$?

# Process ids but our own; an empty command line is a process that has ended.
running() {
  local folder pid
  for folder in /proc/[0-9]*; do
    pid=${folder#/proc/}
    if [ "$pid" -ne $$ ] && [ "$pid" -ne "$BASHPID" ] && [ -n "$(tr -d '\0' 2> /dev/null < "$folder/cmdline" || true)" ]; then
      echo "$pid"
    fi
  done
}

# What the command stopped may still be on its way out.
deadline=$((SECONDS + 10))
while [ -n "$(running)" ] && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.1; done
for pid in $(running); do
  echo "left running, stopped now: $(tr '\0' ' ' 2> /dev/null < "/proc/$pid/cmdline")" >&2
  [ "$status" -ne 0 ] || status=1
done
exit "$status"
