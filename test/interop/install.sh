#!/usr/bin/env bash
# Prepares a Debian 12 machine for the interop tests, as root: Postfix, NSD, unbound, swaks, curl and ip from
# packages, none of their services started, and Exim and OpenSMTPD unpacked beside them, since Debian's packages of
# mail servers exclude each other; Haraka comes from npm. The tests run every server by themselves, with configurations
# and queues of their own.
#
# Promises: /usr/sbin/{postfix,nsd,unbound}, /usr/bin/{swaks,openssl}, $EXIM, $OPENSMTPD and Haraka below run. May be
# repeated at any time.
# A configuration of this Exim sets `exim_path` to $EXIM, since it starts itself again for each delivery, and
# `deliver_drop_privilege = true`, since a configuration named on its command line loses root anyway.
set -euo pipefail

CACHE=${DELAY_XFER_CACHE:-/var/cache/delay-xfer}
EXIM=$CACHE/exim/usr/sbin/exim4
OPENSMTPD=$CACHE/opensmtpd/usr/sbin/smtpd
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
"${apt[@]}" install -y --no-install-recommends postfix nsd unbound swaks curl iproute2 openssl \
  libdb5.3 libevent-2.1-7 libgnutls-dane0 libidn12 libidn2-0 libnsl2 libpcre2-8-0

# The OpenSMTPD of Debian 12 itself cannot speak TLS as a server, since its OpenSSL became 3.0; the backport can. The
# machine's own sources stay as they are.
backports=("${apt[@]}" -o Dir::Etc::SourceList="$CACHE/backports/sources.list" -o Dir::Etc::SourceParts=/dev/null
  -o Dir::State::Lists="$CACHE/backports/lists" -o Dir::Cache="$CACHE/backports")

fetch() { # PROGRAM FOLDER COMMAND...: unpacks what the command downloads; nothing when the program is there already
  local program=$1 folder=$2 packages
  shift 2
  [ ! -x "$program" ] || return 0
  packages=$(mktemp -d)
  # apt fetches packages as a user of its own, who must be able to write here.
  chown _apt "$packages"
  (cd "$packages" && "$@")
  for package in "$packages"/*.deb; do
    dpkg -x "$package" "$folder"
  done
  rm -r "$packages"
}
user() { # NAME: the names are compiled in, and looked up at every start
  getent passwd "$1" > /dev/null ||
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$1"
}
fetch "$EXIM" "$CACHE/exim" "${apt[@]}" download exim4-base exim4-daemon-light
user Debian-exim

if [ ! -x "$OPENSMTPD" ]; then
  mkdir -p "$CACHE/backports/lists/partial" "$CACHE/backports/archives/partial"
  echo 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm-backports main' \
    > "$CACHE/backports/sources.list"
  "${backports[@]}" update
fi
fetch "$OPENSMTPD" "$CACHE/opensmtpd" "${backports[@]}" download opensmtpd
user opensmtpd
user opensmtpq
# Compiled in as well: its delivery agents, its spool and its chroot; the tests put folders in memory over the last two.
mkdir -p /usr/libexec /var/spool/smtpd /var/lib/opensmtpd/empty
ln -sfnT "$CACHE/opensmtpd/usr/libexec/opensmtpd" /usr/libexec/opensmtpd

# Haraka comes from npm, with the exact versions of haraka/package-lock.json, in a folder of its own.
HARAKA=$CACHE/haraka
here=$(cd "$(dirname "$0")" && pwd)
if ! cmp -s "$here/haraka/package-lock.json" "$HARAKA/package-lock.json"; then
  rm -rf "$HARAKA"
  mkdir -p "$HARAKA"
  cp "$here/haraka/package.json" "$HARAKA"
  cp "$here/haraka/package-lock.json" "$HARAKA"
  (cd "$HARAKA" && npm ci --ignore-scripts --no-audit --no-fund --loglevel error) || { rm -rf "$HARAKA"; exit 1; }
fi

works() { # NAME VERSION PATH: an empty version means that the program does not run
  if [ -z "$2" ]; then
    echo "test/interop/install.sh: $1 does not run: $3" >&2
    exit 1
  fi
  printf '%-9s %-14s %s\n' "$@"
}
works postfix "$(postconf -dh mail_version)" /usr/sbin/postfix
works exim "$("$EXIM" -C /dev/null -bV 2> /dev/null | sed -n '1s/Exim version \([^ ]*\).*/\1/p')" "$EXIM"
works opensmtpd "$("$OPENSMTPD" -h 2>&1 | sed -n 's/^version: OpenSMTPD //p')" "$OPENSMTPD"
works nsd "$(nsd -v 2>&1 | sed -n '1s/.*version //p')" /usr/sbin/nsd
works unbound "$(unbound -V | sed -n '1s/Version //p')" /usr/sbin/unbound
works haraka "$(sed -n 's/^  "version": "\(.*\)",$/\1/p' "$HARAKA/node_modules/Haraka/package.json")" "$HARAKA/node_modules/Haraka/bin/haraka"
works swaks "$(swaks --version | sed -n '1s/swaks version //p')" /usr/bin/swaks
