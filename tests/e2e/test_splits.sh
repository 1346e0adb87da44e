#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every way to split, on files as they come: with gaps, at irregular times, of 1 and of
# 2,000 columns, and `long` and `rows` files of series of unlike length.  With NETWORK=1 the
# network takes part in those of 2,000 columns, too, in MEMORY kB.
. "$(dirname "$0")/lib.sh"

# waves ROWS COLUMNS -- hourly; every 17th row is missing, and every 13th value of the first
# column.  With IRREGULAR=1 rows stand up to 20 minutes after their hours.
waves() {
    awk -v rows="$1" -v columns="$2" -v irregular="${IRREGULAR:-0}" 'BEGIN {
        srand(3)
        printf "time"
        for (c = 1; c <= columns; c++) printf ",c%d", c
        printf "\n"
        for (i = 0; i < rows; i++) {
            if (i % 17 == 4) continue
            printf "%d", 1767225600 + i * 3600 + irregular * int(rand() * 1200)
            for (c = 1; c <= columns; c++)
                if (c == 1 && i % 13 == 3) printf ","
                else printf ",%.3f", 10 * c + sin(i * 6.2831853 / 24 + c) + (i * c * 7919 % 100) / 400
            printf "\n"
        }
    }'
}

# run FILE SPLIT ARGUMENT... -- $status and $body.
run() {
    file=$1 split=$2
    shift 2
    status=0
    "$frwkvd" backtest --csv "$file" --split "$split" --lookback 48 --horizon 12 --threads 1 \
        --json "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
    body=$(cat "$tmp/out")
    [ $status = 0 ] || body=$(cat "$tmp/err")
}

# judged ROWS SERIES -- so much was read, and each candidate and series has its figures.
judged() {
    printf '%s' "$body" | jq -e --argjson rows "$1" --argjson series "$2" '
        .data.rows == $rows and .data.series == $series and .data.step_s == 3600
        and ([.champion[].series] | unique | length == $series)
        and ([.results[] | select(.bucket == "all")] | length > 3
             and all(.mse > 0 and .mae > 0 and .mae < 10))' >/dev/null
}

simple="--model naive,seasonal_naive,drift,profile,in_context"
waves 480 2 >"$tmp/gaps.csv"
IRREGULAR=1 waves 480 2 >"$tmp/irregular.csv"
for split in 0.7,0.1,0.2 last:96; do
    for kind in gaps irregular; do
        # words
        # shellcheck disable=SC2086
        run "$tmp/$kind.csv" $split $simple
        check "$kind, $split" judged 480 2
    done
done
# shellcheck disable=SC2086
run "$tmp/gaps.csv" last:96 $simple --group joint
check "gaps, last:96, joint" judged 480 2
run "$tmp/gaps.csv" last:0
check "nothing held out is refused" sh -c "[ $status = 2 ] && grep -q last:0 '$tmp/err'"
run "$tmp/gaps.csv" last:475
check "everything held out, too" [ $status = 1 ]
check "with what each part needs" grep -q 'the first needs both, each of the others a horizon' "$tmp/err"
run "$tmp/gaps.csv" ett-hour
check "a file too short for ett-hour says so" sh -c "[ $status = 1 ] && grep -q 'of 480 rows are too short' '$tmp/err'"
IRREGULAR=1 waves 14400 1 >"$tmp/long_gaps.csv"
run "$tmp/long_gaps.csv" ett-hour --model naive,seasonal_naive,drift,profile
check "ett-hour, one column, gaps and irregular times" judged 14400 1

# A network that learns something in a second.
small="--set width=16 --set ff=16 --set heads=2 --set lift=1 --set rank=4 --set epochs=1
       --set steps_per_epoch=10 --set batch=8"

waves 120 2000 >"$tmp/broad.csv"
# Sanitizers, for which there is more PATIENCE, take what they like.
[ -z "${NETWORK-}" ] || [ -n "${PATIENCE-}" ] || ulimit -v "${MEMORY:-500000}"
for group in each joint; do
    # shellcheck disable=SC2086
    run "$tmp/broad.csv" last:24 --lookback 24 --group $group ${NETWORK:+$small} \
        --model naive,seasonal_naive,profile${NETWORK:+,frwkv}
    check "2,000 columns, $group" judged 120 2000
    [ -z "${NETWORK-}" ] || check "the network among them" is \
        '[.results[] | select(.candidate == "frwkv" and .params > 0)] | length' 5
done

# Three series of unlike start and length, the same in both forms of file.
waves 602 3 | awk -F, 'NR == 1 { print "series,time,value"; next }
    { print "a," $1 "," $2; if (NR > 150) print "b," $1 "," $3; if (NR > 300) print "c," $1 "," $4 }' >"$tmp/long.csv"
# shellcheck disable=SC2086
run "$tmp/long.csv" last:96 --format long --group each $small
check "long, each: series of unlike length" judged 602 3
check "the network learns from them" is '[.results[].candidate] | contains(["frwkv"])' true
awk -F, 'NR > 1 { row[$1] = row[$1] "," $3 } END { for (s in row) print s row[s] }' \
    "$tmp/long.csv" >"$tmp/rows.csv"
# shellcheck disable=SC2086
run "$tmp/rows.csv" last:96 --format rows --group each $small
check "rows, each: series of unlike length" is \
    '[.data.series, (.results[] | select(.bucket == "all" and .candidate == "frwkv") | .mae > 0)] | tostring' \
    '[3,true]'
check "each is judged, however short" is \
    '[.champion[] | select(.coverage80 > 0)] | length' 12
done_testing
