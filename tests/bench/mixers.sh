#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# mixers.sh -- every mixer under the same trunk, at the same steps and seeds, and a table.
#
#     tests/bench/mixers.sh          trains what has not been trained yet, then the table
#     tests/bench/mixers.sh table    the table of what there is (needs jq)
#
# Sets: etth1 and exchange (96 steps ahead, the series are the tokens), ec2 and elb (two
# cloud metrics, 48 steps ahead, patches of 8 steps are the tokens), wide (128 series that
# know of each other, tests/tools/wide.c, 24 steps ahead) and shuffled: the wide set with
# its columns in another order, for the mixers that have an order.
#
#   SETS, MIXERS, SEEDS   a list each, to train only those
#   EPOCHS                of every training            (8)
#   JOBS                  trainings at a time, one thread each   (all cores)
#   DATA                  where the CSV files are      (../shared/data)
#   OUT                   a file for each run          ($BUILD/mixers-bench)
#
# A run is one training and stops where it stops: started again, the script goes on with
# the runs that have no file yet.  Cores have the same trunk and their own few parameters;
# inline is without its local residual, which is a second mixer.
set -eu
build=${BUILD:-build}
frwkvd=${FRWKVD:-$build/frwkvd} out=${OUT:-$build/mixers-bench} data=${DATA:-../shared/data}
seeds=${SEEDS:-1 2 3} epochs=${EPOCHS:-8} jobs=${JOBS:-$(nproc)}
sets=${SETS:-etth1 exchange ec2 elb wide shuffled}
mixers=${MIXERS:-none softmax linear inline taylor2 luna rwkv7 rwkv7x gdn_swa h3}
ordered='rwkv7 rwkv7x gdn_swa h3'

# file SET, options SET -- what a set is.
file() {
    case $1 in
    etth1) echo "$data/ETTh1.csv" ;;
    exchange) echo "$data/exchange_rate.csv" ;;
    ec2) echo "$data/ec2_cpu_utilization_5f5533.csv" ;;
    elb) echo "$data/elb_request_count_8c0756.csv" ;;
    wide | shuffled) echo "$out/$1.csv" ;;
    *) echo "mixers.sh: no set called $1" >&2; exit 2 ;;
    esac
}
options() {
    case $1 in
    etth1) echo "--split ett-hour --group joint --season 24" ;;
    exchange) echo "--group joint" ;;
    ec2 | elb) echo "--horizon 48 --set axis=patch --set patch=8" ;;
    wide | shuffled) echo "--group joint --horizon 24 --season 1" ;;
    esac
}

# columns_shuffled -- the columns of a CSV in another order, always the same.
columns_shuffled() {
    awk -F, 'NR == 1 { for (i = 2; i <= NF; i++) to[i] = 2 + (i * 45 + 17) % (NF - 1) }
             { printf "%s", $1; for (i = 2; i <= NF; i++) printf ",%s", $to[i]; print "" }'
}

# run SET MIXER SEED -- the training, its JSON and the memory it took, in KiB.
run() {
    into=$out/$1.$2.$3
    [ ! -s "$into.json" ] || return 0
    # shellcheck disable=SC2046  # options are words
    "$frwkvd" backtest --csv "$(file "$1")" $(options "$1") --lookback 96 --calendar none \
        --mixer "$2" --seed "$3" --model frwkv --threads 1 --json --set inline_local=none \
        --set epochs="$epochs" --set patience="$epochs" >"$into.part" 2>"$into.err" &
    pid=$!
    while sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' /proc/$pid/status >"$into.look" 2>/dev/null &&
        [ -s "$into.look" ]; do
        mv "$into.look" "$into.kib"
        sleep 0.2
    done
    rm -f "$into.look"
    wait $pid || { cat "$into.err" >&2; return 1; }
    mv "$into.part" "$into.json"
    rm -f "$into.err"
    echo "$1 $2 seed $3"
}

# What takes longest first, so that the end does not wait for one.
plan() {
    for set in $sets; do
        for mixer in $mixers; do
            case $set.$mixer in
            shuffled.*) case " $ordered " in *" $mixer "*) ;; *) continue ;; esac ;;
            esac
            for seed in $seeds; do echo "$set" "$mixer" "$seed"; done
        done
    done
}

table() {
    for set in $sets; do
        ls "$out/$set".*.json >/dev/null 2>&1 || continue
        printf '\n%s, seeds %s, at most %s epochs\n\n' "$set" "$seeds" \
            "$(jq -s 'map(.settings.epochs) | max' "$out/$set".*.json)"
        for mixer in $mixers; do
            ls "$out/$set.$mixer".*.json >/dev/null 2>&1 || continue
            jq -rs --arg mixer "$mixer" --argjson kib "[$(cat "$out/$set.$mixer".*.kib | paste -sd,)]" '
                def mean: add / length;
                def spread: (mean as $m | map(. - $m | . * .) | add) as $s
                            | if length > 1 then ($s / (length - 1) | sqrt) else 0 end;
                map(.results[] | select(.candidate == "frwkv" and .bucket == "all")) as $r
                | [$mixer, ($r | map(.mse) | mean), ($r | map(.mse) | spread),
                   ($r | map(.mae) | mean), (map(.history | map(.loss_valid) | min) | mean),
                   $r[0].params, (map(.history | map(.seconds) | add) | mean),
                   ($kib | mean / 1024), length] | @tsv' "$out/$set.$mixer".*.json
        done | awk -F '\t' 'BEGIN {
                print "| mixer | MSE | +- | MAE | against none | validation loss | parameters | training | memory | runs |"
                print "|---|---|---|---|---|---|---|---|---|---|" }
            $1 == "none" { none = $2 }
            { printf "| `%s` | %.4f | %.4f | %.4f | %s | %.5f | %d | %.0f s | %.0f MiB | %d |\n",
                     $1, $2, $3, $4, none ? sprintf("%+.1f %%", 100 * ($2 / none - 1)) : "",
                     $5, $6, $7, $8, $9 }'
    done
}

if [ "${1-}" = table ]; then
    table
    exit
fi
if [ "${1-}" = run ]; then # from below
    shift
    run "$@"
    exit
fi
mkdir -p "$out"
case " $sets " in *" wide "* | *" shuffled "*)
    [ -s "$out/wide.csv" ] || "$build/tests/tools/wide" >"$out/wide.csv"
    columns_shuffled <"$out/wide.csv" >"$out/shuffled.csv"
esac
plan | xargs -P "$jobs" -L 1 "$0" run
! command -v jq >/dev/null || table
