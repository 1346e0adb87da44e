#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kill -9 while samples come in: whatever was acknowledged is there afterwards.
# ROUNDS=n repeats it.
. "$(dirname "$0")/lib.sh"

base=$((($(date +%s) - 86400) * 1000))

# sender N -- sends samples one request after another, each of two samples, and writes
# down what was acknowledged.
sender() {
    i=0
    while :; do
        a=$((base + round * 1000000 + i * 2))
        code=$(curl -s -o /dev/null -w '%{http_code}' --json \
            "{\"samples\":[{\"series\":\"s$1\",\"time\":$a,\"value\":$i},
                           {\"series\":\"s$1\",\"time\":$((a + 1)),\"value\":$i.5}]}" \
            "$url/v1/samples") || return 0
        [ "$code" != 200 ] || printf '%s\n%s\n' "$a $i" "$((a + 1)) $i.5" >>"$tmp/acked.$1"
        i=$((i + 1))
    done
}

# lost N -- acknowledged samples of series N that are not there.
lost() {
    curl -fsSG "$url/v1/samples" -d "series=s$1" -d limit=100000 |
        jq -r '.samples[] | [(.time | capture("(?<s>.*?)(?<f>[.][0-9]+)?Z$")
                 | ((.s + "Z" | fromdate) * 1000 + ((.f // "0" | tonumber) * 1000 | round))),
                 .value] | "\(.[0]) \(.[1])"' | sort >"$tmp/have"
    sort "$tmp/acked.$1" | comm -23 - "$tmp/have" | wc -l
}

configure
for round in $(seq "${ROUNDS:-3}"); do
    start
    senders=
    for n in 1 2 3; do
        sender $n &
        senders="$senders $!"
    done
    # From a moment on, at some point of whatever happens then.
    before=$(cat "$tmp"/acked.* 2>/dev/null | wc -l)
    enough() { [ "$(cat "$tmp"/acked.* 2>/dev/null | wc -l)" -gt $((before + 100)) ]; }
    wait_for 30 enough
    sleep 0.$((round % 10))
    stop KILL
    # several ids
    # shellcheck disable=SC2086
    wait $senders
done
start
for n in 1 2 3; do
    check "nothing acknowledged of series $n is lost ($(wc -l <"$tmp/acked.$n") samples)" \
        [ "$(lost $n)" = 0 ]
done
stop
command -v sqlite3 >/dev/null &&
    check "the database is whole" sh -c \
        "sqlite3 '$tmp'/state/*.db 'PRAGMA integrity_check' | grep -qx ok"
done_testing
