#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fresh.sh [FOLDER] -- proves `make demo` and `make test` on a bare Debian 12.
#
# Makes a minimal Debian 12 with debootstrap in FOLDER (default /var/tmp/frwkvd-fresh),
# clones this repository into it, and runs both commands there as a newcomer would.
# Needs root, debootstrap and a Debian mirror (MIRROR=).  Takes some ten minutes; not
# part of the tests.
set -eu
root=${1:-/var/tmp/frwkvd-fresh}
mirror=${MIRROR:-http://deb.debian.org/debian}
here=$(cd "$(dirname "$0")/.." && pwd)
[ "$(id -u)" -eq 0 ] || { echo "fresh.sh: run as root" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "fresh.sh: apt-get install debootstrap" >&2; exit 1; }

clean() {
    for mount in proc dev shared; do
        mountpoint -q "$root/$mount" && umount -l "$root/$mount"
    done
    rm -rf --one-file-system "$root"
}
[ ! -e "$root" ] || { echo "fresh.sh: $root exists; remove it or name another folder" >&2; exit 1; }
trap clean EXIT
trap 'exit 1' INT TERM

debootstrap --variant=minbase --include=make,git,ca-certificates bookworm "$root" "$mirror"
# Whatever reaches the mirror from here (proxy, sources, certificates) serves there too.
cp /etc/resolv.conf "$root/etc/" 2>/dev/null || true
cp -a /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
[ -z "${COPY_SOURCES-}" ] || cp -a /etc/apt/sources.list* "$root/etc/apt/"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
if [ -d "$here/../shared" ]; then
    mkdir "$root/shared"
    mount --bind "$here/../shared" "$root/shared"
fi
git clone -q "$here" "$root/frwkvd"

inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb CI=1 \
    ${http_proxy:+http_proxy="$http_proxy"} sh -ec "cd /frwkvd && $1"; }
timed() {
    begin=$(date +%s)
    inside "$1"
    echo "fresh.sh: $1: $(($(date +%s) - begin)) s"
}
timed "etc/install-deps.sh build"
timed "make demo ONCE=1"
[ ! -d "$root/shared" ] || timed "make clean && make demo ONCE=1 DATA=../shared/data/ETTh1.csv"
timed "make test"
echo "fresh.sh: both commands work on a bare Debian 12"
