#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The Debian package: builds, has nothing that lintian calls an error, installs, starts
# under a service manager's eyes, upgrades with its data, and purges cleanly.
#
# It is installed into a throwaway image of this system: an overlay over / that only this
# test sees.  Where that cannot be had, on a machine that is itself thrown away (CI), it
# is installed for real.
. "$(dirname "$0")/../e2e/lib.sh"

inside() { [ "${FRWKVD_DEB_INSIDE-}" = 1 ]; }

# ---- outside: build, look, go in -------------------------------------------------------

if ! inside; then
    [ "$(id -u)" = 0 ] || { echo "skip deb: only root can install a package"; exit 77; }
    env -u MAKEFLAGS -u MAKELEVEL make deb >"$tmp/out" 2>&1
    deb=$(ls build/deb/frwkvd_*_*.deb 2>/dev/null | head -n 1)
    body=$(tail -n 20 "$tmp/out")
    check "make deb makes a package" [ -f "$deb" ]
    check "of the program's version" \
        [ "$(dpkg-deb -f "$deb" Version)" = "$("$frwkvd" version | cut -d' ' -f2)" ]
    body=$(lintian --allow-root --fail-on error build/deb/*.changes 2>&1) && status=0 || status=$?
    check "lintian finds no error" [ "$status" = 0 ]
    check "the tree is as it was" [ ! -e debian/frwkvd ]

    # The same contents as a newer version.
    dpkg-deb -R "$deb" "$tmp/newer"
    sed -i 's/^Version: .*/&+1/' "$tmp/newer/DEBIAN/control"
    mkdir "$tmp/image"
    dpkg-deb -b "$tmp/newer" "$tmp/image/newer.deb" >/dev/null
    cp "$deb" "$tmp/image/frwkvd.deb"
    cp "${BUILD:-build}/tests/tools/under_notify" tests/e2e/lib.sh "$tmp/image/"
    mkdir -p "$tmp/image/long"
    cp "$0" "$tmp/image/long/test_deb.sh"
    mkdir "$tmp/image/e2e" && mv "$tmp/image/lib.sh" "$tmp/image/e2e/"

    # overlay COMMAND... -- runs it with / written over, seen by nobody else.
    overlay() {
        unshare --mount sh -c '
            set -e
            mount -t tmpfs tmpfs "$1/over" && mkdir "$1/over/upper" "$1/over/work" "$1/over/root"
            mount -t overlay overlay -o "lowerdir=/,upperdir=$1/over/upper,workdir=$1/over/work" "$1/over/root"
            for place in proc dev sys; do mount --rbind "/$place" "$1/over/root/$place"; done
            mount -t tmpfs tmpfs "$1/over/root/tmp" && mount -t tmpfs tmpfs "$1/over/root/run"
            cp -r "$1/image" "$1/over/root/tmp/image"
            cd "$1/over/root"
            shift
            exec chroot . "$@"' overlay "$tmp" "$@"
    }
    mkdir "$tmp/over"
    export FRWKVD_DEB_INSIDE=1
    if overlay true 2>"$tmp/err"; then
        overlay /tmp/image/long/test_deb.sh || failed=1
    elif [ -n "${CI-}" ]; then
        "$tmp/image/long/test_deb.sh" || failed=1
    else
        echo "skip deb: no overlay of / can be made here ($(head -n 1 "$tmp/err"))"
    fi
    done_testing
fi

# ---- inside ------------------------------------------------------------------------------

image=$(cd "$(dirname "$0")/.." && pwd)
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

# files -- what packages bring, but for what dpkg and systemd keep about them.
files() {
    find /etc /usr /opt /srv /var/lib /var/spool \( -path /var/lib/dpkg -o -path /var/lib/systemd \) \
        -prune -o -print | grep -vE '^/etc/(passwd|group|shadow|gshadow)-?$|^/etc/\.pwd\.lock$' | sort
}

# run -- starts the installed daemon as its user, as the service does, until it is ready.
run() {
    : >"$tmp/notified"
    "$image/under_notify" setpriv --reuid=frwkvd --regid=frwkvd --init-groups \
        /usr/bin/frwkvd serve -c /etc/frwkvd.conf >"$tmp/notified" 2>>"$tmp/log" &
    pid=$!
    wait_for 60 grep -q '^READY=1' "$tmp/notified"
}

files >"$tmp/before"
body=$(dpkg -i "$image/frwkvd.deb" 2>&1) && status=0 || status=$?
check "it installs" [ "$status" = 0 ]
check "its user is there" getent passwd frwkvd
check "its state folder is nobody else's" \
    [ "$(stat -c '%a %U %G' /var/lib/frwkvd)" = "700 frwkvd frwkvd" ]
check "its manual pages come with it" sh -c 'dpkg -L frwkvd | grep -q man8/frwkvd.8.gz && dpkg -L frwkvd | grep -q man5/frwkvd.conf.5.gz'
check "its examples come with it" sh -c "dpkg -L frwkvd | grep -q /usr/share/doc/frwkvd/examples/prometheus/rules.yml"
body=$(systemd-analyze verify /lib/systemd/system/frwkvd.service 2>&1)
check "systemd-analyze verify has nothing to say of what is installed" [ -z "$body" ]
check "the configuration is accepted" /usr/bin/frwkvd check-config

port=$(free_port)
url=http://127.0.0.1:$port
sed -i "s/^listen = .*/listen = 127.0.0.1:$port/" /etc/frwkvd.conf
printf '[web]\nselect = load\nstep = 1h\n' >/etc/frwkvd.d/web.conf
check "it starts as its user, and says when it is ready" run
check "with its status" grep -q "^STATUS=Serving on port $port" "$tmp/notified"
check "the watchdog is fed" wait_for 30 grep -q '^WATCHDOG=1' "$tmp/notified"
wave 200 2 >"$tmp/wave.csv"
request POST "/v1/import?history=true" --data-binary @"$tmp/wave.csv" -H 'Content-Type: text/csv'
check "it takes samples" [ "$status" = 200 ]
get /v1/forecasters/web
check "a forecaster of a file is there" [ "$status" = 200 ]
stop
check "it ends well" [ "$stopped" = 0 ]
check "and says that it is about to" grep -q '^STOPPING=1' "$tmp/notified"

body=$(dpkg -i --force-confold "$image/newer.deb" 2>&1) && status=0 || status=$?
check "it upgrades" [ "$status" = 0 ]
check "to the newer version" sh -c "dpkg-query -W -f '\${Version}' frwkvd | grep -q '+1$'"
check "the configuration stays as it was" grep -q "^listen = 127.0.0.1:$port" /etc/frwkvd.conf
check "it starts again" run
get '/v1/series'
check "with its data" is '.series | length' 2
stop
check "what is stored is whole" setpriv --reuid=frwkvd --regid=frwkvd --init-groups frwkvd verify

body=$(dpkg --remove frwkvd 2>&1) && status=0 || status=$?
check "it can be removed" [ "$status" = 0 ]
check "its data and configuration stay" [ -f /var/lib/frwkvd/frwkvd.db -a -f /etc/frwkvd.conf ]
body=$(dpkg --purge frwkvd 2>&1) && status=0 || status=$?
check "it can be purged" [ "$status" = 0 ]
files >"$tmp/after"
body=$(diff "$tmp/before" "$tmp/after" | head -n 20)
check "and leaves nothing behind" cmp "$tmp/before" "$tmp/after"
done_testing
