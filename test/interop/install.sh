#!/usr/bin/env bash
# Prepares a Debian 12 machine for the interop tests, as root: Postfix, NSD, unbound, swaks, curl and ip from
# packages, none of their services started, and Exim unpacked beside them, since Debian's packages of Postfix
# and Exim exclude each other. The tests run every server by themselves, with configurations and queues of
# their own.
#
# Promises: /usr/sbin/{postfix,nsd,unbound}, /usr/bin/swaks and $EXIM below run. May be repeated at any time.
# A configuration of this Exim sets `exim_path` to $EXIM, since it starts itself again for each delivery, and
# `deliver_drop_privilege = true`, since a configuration named on its command line loses root anyway.
set -euo pipefail

CACHE=${DELAY_XFER_CACHE:-/var/cache/delay-xfer}
EXIM=$CACHE/exim/usr/sbin/exim4
POLICY=/usr/sbin/policy-rc.d

export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -q -o DPkg::Lock::Timeout=300)

# The packages' own scripts ask this file before they start a service; 101 is "forbidden by policy".
if [ ! -e "$POLICY" ]; then
  printf '#!/bin/sh\nexit 101\n' > "$POLICY"
  chmod 755 "$POLICY"
  trap 'rm -f "$POLICY"' EXIT
fi

"${apt[@]}" update
echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
"${apt[@]}" install -y --no-install-recommends postfix nsd unbound swaks curl iproute2 \
  libdb5.3 libgnutls-dane0 libidn12 libidn2-0 libnsl2 libpcre2-8-0

if [ ! -x "$EXIM" ]; then
  mkdir -p "$CACHE/packages"
  # apt fetches packages as a user of its own, who must be able to write here.
  chown _apt "$CACHE/packages"
  (cd "$CACHE/packages" && "${apt[@]}" download exim4-base exim4-daemon-light)
  for package in "$CACHE"/packages/exim4-*.deb; do
    dpkg -x "$package" "$CACHE/exim"
  done
fi
# The name is compiled into Exim, which looks it up at every start.
getent passwd Debian-exim > /dev/null ||
  useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin Debian-exim

works() { # NAME VERSION PATH: an empty version means that the program does not run
  if [ -z "$2" ]; then
    echo "test/interop/install.sh: $1 does not run: $3" >&2
    exit 1
  fi
  printf '%-8s %-12s %s\n' "$@"
}
works postfix "$(postconf -dh mail_version)" /usr/sbin/postfix
works exim "$("$EXIM" -C /dev/null -bV 2> /dev/null | sed -n '1s/Exim version \([^ ]*\).*/\1/p')" "$EXIM"
works nsd "$(nsd -v 2>&1 | sed -n '1s/.*version //p')" /usr/sbin/nsd
works unbound "$(unbound -V | sed -n '1s/Version //p')" /usr/sbin/unbound
works swaks "$(swaks --version | sed -n '1s/swaks version //p')" /usr/bin/swaks
