#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The demo's generator: same seed and end, same bytes; the hours it promises.
set -u
fleet=${BUILD:-build}/fleet
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT

check() { # name, then a command that must succeed
    name=$1 && shift
    if "$@"; then echo "ok $name"; else echo "not ok $name"; fi
}

"$fleet" --end 2026-11-23T22:30:00Z --seed 1 >"$work/a"
"$fleet" --end 2026-11-23T22:30:00Z --seed 1 >"$work/b"
"$fleet" --end 2026-11-23T22:30:00Z --seed 2 >"$work/c"
"$fleet" --end 2026-11-23T22:00:00Z --weeks 1 >"$work/week"
check "same seed, same bytes" cmp -s "$work/a" "$work/b"
check "other seed, other bytes" eval '! cmp -s "$work/a" "$work/c"'

lines=$(wc -l <"$work/a") # 8 weeks are 1344 hours; a few lines are lost on purpose
check "eight weeks, some lines lost" [ "$lines" -gt 1325 -a "$lines" -lt 1345 ]
check "ends with the last hour before the end" \
    grep -q '^2026-11-23T22:00:00Z,' "$work/a"
check "an hour that begins at the end is not told" \
    eval '! grep -q "^2026-11-23T22:00" "$work/week"'
check "an outage of nine hours silences web-1" eval \
    '[ "$(awk -F, "NR > 1 && \$2 == \"\" && \$4 == \"\" && \$7 == \"\"" "$work/a" | wc -l)" -ge 8 ]'
check "every line has nine fields" \
    eval '[ "$(tail -n +2 "$work/a" | awk -F, "{ print NF }" | sort -u)" = 9 ]'
check "bad options are refused" eval '! "$fleet" --weeks 0 2>"$work/err" && grep -q usage "$work/err"'
