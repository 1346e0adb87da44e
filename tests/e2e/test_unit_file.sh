#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The systemd units: no complaint, hardened to 1.2 or better (of 10), and all the daemon
# does can be done under what the service forbids.
. "$(dirname "$0")/lib.sh"

unit=etc/systemd/frwkvd.service
command -v systemd-analyze >/dev/null || { echo "skip unit: systemd-analyze is not installed"; exit 77; }

# What is installed: program, man pages, units, user.
env -u MAKEFLAGS -u MAKELEVEL make -s install BUILD="${BUILD:-build}" DESTDIR="$tmp/root" PREFIX=/usr >"$tmp/out" 2>&1
body=$(cat "$tmp/out")
for path in usr/bin/frwkvd etc/frwkvd.conf usr/lib/systemd/system/frwkvd.service \
    usr/lib/systemd/system/frwkvd.socket usr/lib/sysusers.d/frwkvd.conf \
    usr/share/man/man8/frwkvd.8 usr/share/man/man5/frwkvd.conf.5; do
    check "make install brings $path" [ -f "$tmp/root/$path" ]
done
check "the forecasters' folder too" [ -d "$tmp/root/etc/frwkvd.d" ]
check "the service runs what was installed" \
    grep -q '^ExecStart=/usr/bin/frwkvd serve -c /etc/frwkvd.conf' \
    "$tmp/root/usr/lib/systemd/system/frwkvd.service"
systemd-sysusers --root="$tmp/root" "$tmp/root/usr/lib/sysusers.d/frwkvd.conf" >/dev/null 2>&1
check "the user is one that nobody logs in as" \
    grep -q '^frwkvd:x:.*:/var/lib/frwkvd:/usr/sbin/nologin' "$tmp/root/etc/passwd"
echo mine >"$tmp/root/etc/frwkvd.conf"
env -u MAKEFLAGS -u MAKELEVEL make -s install BUILD="${BUILD:-build}" DESTDIR="$tmp/root" PREFIX=/usr >/dev/null 2>&1
check "an upgrade leaves the configuration alone" [ "$(cat "$tmp/root/etc/frwkvd.conf")" = mine ]

# The program need not be installed for this.
sed "s|^ExecStart=[^ ]*|ExecStart=$(command -v true)|; /^Documentation=/d" $unit >"$tmp/frwkvd.service"
cp etc/systemd/frwkvd.socket "$tmp/"
body=$(systemd-analyze verify "$tmp/frwkvd.service" "$tmp/frwkvd.socket" 2>&1)
check "systemd-analyze verify has nothing to say" [ -z "$body" ]
body=$(systemd-analyze security --offline=true "$tmp/frwkvd.service" 2>/dev/null | tail -n 1)
check "systemd-analyze security: exposure of 1.2 or less" sh -c \
    "echo '$body' | sed 's/.*: //' | awk '{ exit !(\$1 > 0 && \$1 <= 1.2) }'"

# calls NAME... -- the system calls that these names and @groups stand for.
calls() {
    for name; do
        case $name in
        @*) calls $(systemd-analyze syscall-filter "$name" | sed '1d; s/#.*//') ;;
        *) echo "$name" ;;
        esac
    done
}

# The unit's lines in their order: each adds, or with ~ takes away.
: >"$tmp/allowed"
sed -n 's/^SystemCallFilter=//p' $unit | while read -r line; do
    calls ${line#\~} | sort -u >"$tmp/these"
    case $line in
    \~*) sort "$tmp/allowed" | comm -23 - "$tmp/these" >"$tmp/next" ;;
    *) sort -u "$tmp/allowed" "$tmp/these" >"$tmp/next" ;;
    esac
    mv "$tmp/next" "$tmp/allowed"
done
filter="${BUILD:-build}/tests/tools/under_filter $tmp/allowed"
status=0
$filter chroot / true >"$tmp/out" 2>&1 || status=$?
body=$(cat "$tmp/out")
check "the filter forbids what the unit forbids" grep -q "cannot change root.*not permitted" "$tmp/out"
status=0
$filter true || status=$?
check "and allows to run" [ "$status" = 0 ]

# The daemon takes samples, trains, forecasts and backs up under it.
# LeakSanitizer traces its own process, which the filter forbids.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
program=$frwkvd
printf '#!/bin/sh\nexec %s %s "$@"\n' "$filter" "$program" >"$tmp/frwkvd"
chmod +x "$tmp/frwkvd"
frwkvd=$tmp/frwkvd
configure
start
filtered() { grep -q '^Seccomp:[[:space:]]*2' "/proc/$pid/status"; }
check "the daemon runs under the filter" filtered
tones 500 2 >"$tmp/tones.csv"
request POST "/v1/import?history=true" --data-binary @"$tmp/tones.csv" -H 'Content-Type: text/csv'
check "it takes samples" [ "$status" = 200 ]
put /v1/forecasters/load '{"select": "load", "step": "1h", "lookback": 48, "horizon": 24,
    "settings": {"epochs": 3, "steps_per_epoch": 50, "batch": 4}}'
post /v1/forecasters/load/train ''
id=$(value .id)
check "it trains" wait_for 120 job_ended "$id"
check "well" is .state done
check "the network, too" is '[.result.results[] | select(.candidate == "frwkv" and .params > 0)] | length > 0' true
get /v1/forecasters/load/forecast
check "it forecasts" [ "$status" = 200 ]
check "it trains at a lower priority" sh -c \
    "for task in /proc/$pid/task/*; do
         grep -q frwkvd-long \$task/comm && cut -d' ' -f19 \$task/stat; done | grep -qx 10"
check "nothing was refused on the way" sh -c "! grep -qiE 'not permitted|keeps the usual' '$tmp/log'"
check "it can be backed up" "$frwkvd" backup -c "$conf" "$tmp/backup"
stop
check "and ends well" [ "$stopped" = 0 ]
done_testing
