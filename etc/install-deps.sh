#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# install-deps.sh build|test|long|clang -- the Debian packages that building, testing, the
# long tests and the Debian package, or fuzz, lint and format need.
#
# Does nothing when all are there.  As root or with CI set it says what it installs and
# installs it; otherwise it prints the one line to type and stops.
set -eu

build="gcc make pkg-config libc6-dev libcsv-dev libcurl4-gnutls-dev libfftw3-dev
       libinih-dev libjansson-dev libmicrohttpd-dev libopenblas-dev libpcre2-dev
       libsnappy-dev libsqlite3-dev libsystemd-dev libzstd-dev nettle-dev libxxhash-dev zlib1g-dev
       curl jq tzdata"
tests="libcmocka-dev libseccomp-dev sqlite3 procps systemd man-db bsdextrautils
       prometheus victoria-metrics influxdb-client python3-influxdb python3-prometheus-client collectd-core libyajl2"
# npm may have come with a nodejs of another origin.
command -v npm >/dev/null || tests="$tests nodejs npm"
long="debhelper dpkg-dev fakeroot lintian"

case "${1-}" in
build) wanted=$build ;;
test) wanted="$build $tests" ;;
long) wanted="$build $tests $long" ;;
clang) wanted="$build clang libclang-rt-14-dev clang-tidy clang-format" ;;
*)
    echo "usage: $0 build|test|long|clang" >&2
    exit 2
    ;;
esac

missing=
for package in $wanted; do
    case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
    "install ok installed") ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
    if [ -z "${CI-}" ]; then
        printf 'These Debian packages are missing.  Install them, then run make again:\n\n' >&2
        printf '    sudo apt-get install -y --no-install-recommends%s\n\n' "$missing" >&2
        exit 1
    fi
    sudo="sudo -n"
fi

echo "Installing Debian packages:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
# The tests start programs themselves: the services of these packages must not.
if [ -d /run/systemd/system ]; then
    for service in prometheus victoria-metrics; do
        case $missing in
        *" $service"*) $sudo systemctl mask --runtime "$service" >/dev/null 2>&1 || : ;;
        esac
    done
fi
# shellcheck disable=SC2086  # both are lists of words
if ! { $sudo apt-get update && $sudo apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    cat "$log" >&2
    echo "$0: apt-get failed, see above" >&2
    exit 1
fi
