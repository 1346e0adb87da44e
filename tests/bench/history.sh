#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# history.sh -- what more history is worth, and what the average of weights is worth.
#
# The newest 4, 8 and 26 weeks of the demo's hourly fleet, its newest week held out, 48
# steps ahead: the skill of `frwkv` against the seasonal naive (1 - MAE / MAE), with the
# weights averaged over steps (EMA, the default) and without.  Every run is a fleet and a
# training of its own seed.
#
#   history.sh [run]   whatever run is missing, JOBS at a time; then the table
#   history.sh table   the table of what is there, as markdown (needs jq)
#
#   SEEDS   a list (1..10)          JOBS   processes of one thread (all cores)
#   OUT     one file of JSON a run (build/history)
set -eu
build=${BUILD:-build}
frwkvd=${FRWKVD:-$build/frwkvd} out=${OUT:-$build/history}
weeks='4 8 26' ends='0.998 0'

# one WEEKS EMA SEED
one() {
    into=$out/$1.$2.$3
    [ ! -s "$into.json" ] || return 0
    "$build/fleet" --weeks 26 --end 2026-07-01T00:00:00Z --seed "$3" |
        awk -v rows=$(($1 * 168)) 'NR == 1 { print; next } { row[NR] = $0 }
            END { for (i = NR - rows + 1; i <= NR; i++) print row[i] }' |
        "$frwkvd" backtest --csv - --split last:168 --horizon 48 --lookback 96 --seed "$3" \
            --set ema="$2" --threads 1 --json >"$into.part" 2>"$into.log" ||
        { cat "$into.log" >&2; return 1; }
    mv "$into.part" "$into.json"
    rm -f "$into.log"
}

table() {
    echo '| history | skill | without EMA |'
    echo '|---|---|---|'
    for w in $weeks; do
        printf '| %s weeks ' "$w"
        for e in $ends; do
            jq -rs 'def round3: . * 1000 | round / 1000;
                map((.results | map(select(.bucket == "all"))) as $r
                    | 1 - ($r | map(select(.candidate == "frwkv"))[0].mae)
                        / ($r | map(select(.candidate == "seasonal_naive"))[0].mae))
                | (add / length) as $m
                | (map(. - $m | . * .) | add / (length - 1) | sqrt) as $d
                | "| \($m | round3) ± \($d | round3) "' "$out/$w.$e".*.json | tr -d '\n'
        done
        echo '|'
    done
}

case ${1-run} in
table) table ;;
one) shift && one "$@" ;;
run)
    mkdir -p "$out"
    for w in 26 8 4; do
        for e in $ends; do
            for seed in ${SEEDS:-1 2 3 4 5 6 7 8 9 10}; do echo "$w" "$e" "$seed"; done
        done
    done | xargs -P "${JOBS:-$(nproc)}" -L 1 "$0" one
    ! command -v jq >/dev/null || table
    ;;
esac
