#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The manual pages: well-formed, and not behind the program.
. "$(dirname "$0")/lib.sh"

command -v man >/dev/null || { echo "skip man: man is not installed"; exit 77; }
for page in etc/man/frwkvd.8 etc/man/frwkvd.conf.5; do
    body=$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z $page 2>&1 >/dev/null)
    check "$page is well-formed" [ -z "$body" ]
done
LC_ALL=C.UTF-8 MANWIDTH=200 man -l etc/man/frwkvd.8 2>/dev/null | col -bx >"$tmp/frwkvd.8"
LC_ALL=C.UTF-8 MANWIDTH=200 man -l etc/man/frwkvd.conf.5 2>/dev/null | col -bx >"$tmp/frwkvd.conf.5"
commands=$("$frwkvd" help | sed -n 's/^  \([a-z-]*\)  .*/\1/p')
check "the program has commands" [ "$(echo "$commands" | wc -l)" -gt 8 ]
for command in $commands; do
    body=$command
    check "frwkvd(8) tells of $command" grep -qw -- "$command" "$tmp/frwkvd.8"
done
# Every option with its default, in its section.
configure
"$frwkvd" check-config -c etc/frwkvd.conf | sed -n 's/^\(\[.*\]\)$/\1/p; s/^\([a-z_]*\) = \(.*\)/\1 (\2)/p' >"$tmp/options"
check "the configuration has options" [ "$(wc -l <"$tmp/options")" -gt 20 ]
sed -n '/^FORECASTERS/q; s/^ *\(\[[a-z]*\]\)$/\1/p; s/^ *\([a-z_]* ([^)]*)\).*/\1/p' "$tmp/frwkvd.conf.5" |
    grep -v '^frwkvd' >"$tmp/told"
body=$(diff "$tmp/options" "$tmp/told")
check "frwkvd.conf(5) tells of every option with its default" [ -z "$body" ]
# And every field of a forecaster.
start
put /v1/forecasters/x '{"select": "x", "step": "1h"}'
for field in $(value 'del(.name, .revision, .changed, .file) | keys[]'); do
    body=$field
    check "frwkvd.conf(5) tells of the field $field" grep -qw -- "$field" "$tmp/frwkvd.conf.5"
done
stop
done_testing
