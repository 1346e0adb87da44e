#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# accuracy.sh -- how accurate every candidate is, under the protocol of the literature.
#
#   accuracy.sh [run]   whatever run is missing, JOBS at a time; goes on after a stop
#   accuracy.sh table   the table of what is there, as markdown
#
#   DATA=FOLDER   with ETTh1.csv and exchange_rate.csv; default ../shared/data
#   OUT=FOLDER    one file of JSON a run; default build/accuracy
#   JOBS=N        processes of one thread each; default one for each core
#   ONLY=PATTERN  runs whose name it is (shell), as ETTh1-336-*-1
#   PAPER=1       the preset `paper`, too (ETTh1-96, minutes to hours a run)
#
# A run is called DATA-LOOKBACK-HORIZON-PRESET-SEED.
set -eu

build=${BUILD:-build}
frwkvd=${FRWKVD:-$build/frwkvd}
data=${DATA:-../shared/data}
out=${OUT:-$build/accuracy}
only=${ONLY:-*}

# The runs, longest first.
runs() {
    for seed in 1 2 3; do
        [ -z "${PAPER-}" ] || echo "ETTh1-96-96-paper-$seed"
    done
    for lookback in 336 96; do
        for horizon in 720 336 192 96; do
            for seed in 1 2 3; do
                echo "ETTh1-$lookback-$horizon-default-$seed"
                echo "exchange-$lookback-$horizon-default-$seed"
            done
        done
    done
}

# one NAME -- runs it, unless its result is there.
one() {
    [ -s "$out/$1.json" ] && exit 0
    IFS=- read -r set lookback horizon preset seed <<END
$1
END
    case $set in
    ETTh1) file=ETTh1.csv split=ett-hour ;;
    exchange) file=exchange_rate.csv split=0.7,0.1,0.2 ;;
    esac
    if "$frwkvd" backtest --csv "$data/$file" --split $split --group joint --preset "$preset" \
        --lookback "$lookback" --horizon "$horizon" --seed "$seed" --threads 1 --json \
        --checkpoint "$out/$1.checkpoint" >"$out/$1.part" 2>"$out/$1.log"; then
        mv "$out/$1.part" "$out/$1.json"
        rm -f "$out/$1.log"
        echo "$1"
    else
        echo "$1 failed: see $out/$1.log" >&2
        exit 1
    fi
}

# Mean over the seeds and, of more than one, the deviation.
table() {
    jq -rn '
        def round4: . * 10000 | round | tostring | ("0000" + .) | .[-4:] as $d
            | (.[:-4] | ltrimstr("0") | ltrimstr("0") | ltrimstr("0") | ltrimstr("0")) + "." + $d;
        def mean: add / length;
        def deviation: mean as $m | map(. - $m | . * .) | if length > 1 then add / (length - 1) | sqrt else null end;
        def cell: if length == 0 then "–" else "\(mean | round4)" +
            (if (deviation // 0) >= 0.00005 then " ± \(deviation | round4)" else "" end) end;
        [inputs | .settings as $s | (.data.file | sub(".*/"; "") | sub("[.]csv$"; "")) as $set
         | .results[] | select(.bucket == "all")
         | {set: $set, lookback: $s.lookback, preset: $s.preset, horizon, seed: $s.seed, candidate,
            mse, mae, coverage80, params}]
        | group_by([.set, .lookback, .preset])[] | .[0] as $g
        | "\n\($g.set), look-back \($g.lookback), preset `\($g.preset)`: MSE / MAE over seeds "
          + "\(map(.seed) | unique | map(tostring) | join(", "))\n",
          "| | parameters | 96 | 192 | 336 | 720 | mean | in 80 % band |", "|---|---|---|---|---|---|---|---|",
          (. as $all | ["naive", "seasonal_naive", "drift", "profile", "in_context", "frwkv", "champion"][] as $c
           | ($all | map(select(.candidate == $c))) as $rows | select($rows | length > 0)
           | [96, 192, 336, 720] as $horizons
           | ($horizons | map(. as $h | $rows | map(select(.horizon == $h)))) as $cells
           | "| `\($c)` | \($rows | map(.params) | unique | if . == [0] then "" else map(tostring) | "\(first)-\(last)" end) | "
             + ($cells | map("\(map(.mse) | cell) / \(map(.mae) | cell)") | join(" | "))
             + " | " + (if ($cells | all(length > 0))
                 then "\($cells | map(map(.mse) | mean) | mean | round4) / \($cells | map(map(.mae) | mean) | mean | round4)"
                 else "–" end)
             + " | \($rows | map(.coverage80) | mean * 1000 | round / 10) % |"),
          ({"ETTh1": ["| published FRWKV, look-back 96 | 15.55 M | .3733 / .3902 | .4294 / .4221 | .4695 / .4434 | .4794 / .4717 | .4379 / .4318 | |"],
            "exchange_rate": ["| published FRWKV, look-back 96 | 15.55 M | .0838 / .2017 | .1835 / .3052 | .3481 / .4259 | .9887 / .7453 | .4011 / .4195 | |"]}
           [$g.set] // [] | .[])' "$out"/*.json
}

mkdir -p "$out"
case ${1-run} in
table) table ;;
one) one "$2" ;;
run)
    export BUILD="$build" FRWKVD="$frwkvd" DATA="$data" OUT="$out"
    runs | while read -r name; do
        # a pattern
        # shellcheck disable=SC2254
        case $name in $only) echo "$name" ;; esac
    done | xargs -r -n 1 -P "${JOBS:-$(nproc)}" sh "$0" one
    ;;
*)
    sed -n '3,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
    ;;
esac
