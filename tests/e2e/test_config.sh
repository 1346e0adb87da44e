#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a wrong command line or configuration is answered with.
. "$(dirname "$0")/lib.sh"

# exits STATUS TEXT ARGUMENT... -- whether the program ends so, with TEXT in its output.
exits() {
    want=$1 text=$2
    shift 2
    status=0
    "$frwkvd" "$@" >"$tmp/out" 2>&1 </dev/null || status=$?
    body=$(cat "$tmp/out")
    [ $status -eq "$want" ] && grep -qF -- "$text" "$tmp/out"
}

check "no command is a misuse" exits 2 "Usage: frwkvd COMMAND"
check "an unknown command is a misuse" exits 2 "no such command: frobnicate" frobnicate
check "help lists the commands" exits 0 "backtest" help
check "help of a command is its --help" exits 0 "Usage: frwkvd import" help import
check "version tells the version" exits 0 "frwkvd " version
for command in serve import train forecast models backtest backup restore verify check-config; do
    check "$command --help" exits 0 "Usage: frwkvd $command" $command --help
    check "$command refuses an unknown option" \
        exits 2 "frwkvd $command: --bogus: no such option" $command --bogus
    check "and says where to look" exits 2 "Try 'frwkvd $command --help'." $command -z
done
check "an unknown letter is named" exits 2 "frwkvd serve: -z: no such option" serve -z
check "an option without its value" exits 2 "--format: needs a value" import --format
check "an option with a value too many" exits 2 "--json=3: takes no value" train --json=3 x
check "backtest needs a file" exits 2 "--csv" backtest
check "backtest names a bad setting" exits 2 "epochs" backtest --csv x --set epochs=0
check "backtest names settings that do not fit" exits 2 "heads: must divide the width 64, got 5" \
    backtest --csv x --set heads=5
check "backtest names a bad split" exits 2 "split: must be ett-hour" backtest --csv x --split 0.5
check "backtest names a missing file" exits 1 "/nonexistent.csv" backtest --csv /nonexistent.csv
check "import needs one file" exits 2 "one file expected" import
check "models needs one name" exits 2 "one forecaster's name expected" models
check "train needs one name" exits 2 "one forecaster" train

configure
check "check-config prints every option" exits 0 "max_columns = 4096" check-config -c "$conf"
check "the sample is valid" exits 0 "listen = 127.0.0.1:9797" check-config -c etc/frwkvd.conf
check "check-config's output is a configuration" sh -c \
    "'$frwkvd' check-config -c '$conf' >'$tmp/whole.conf' &&
     '$frwkvd' check-config -c '$tmp/whole.conf' | cmp - '$tmp/whole.conf'"

printf '[server]\nport = 1\n' >"$tmp/bad.conf"
check "an unknown key is refused with its line" \
    exits 1 "$tmp/bad.conf: line 2: port: no such option" check-config -c "$tmp/bad.conf"
check "serve refuses it too" exits 1 "line 2: port" serve -c "$tmp/bad.conf"
printf '[server]\n\nthreads = 1000\n' >"$tmp/bad.conf"
check "a value out of range" exits 1 "line 3: threads: must be 1..64, got 1000" \
    check-config -c "$tmp/bad.conf"
awk 'BEGIN { printf "[store]\nfolder = /"; for (i = 0; i < 300; i++) printf "x"; print "" }' \
    >"$tmp/bad.conf"
check "a line that inih would split" exits 1 "line 2: longer than" check-config -c "$tmp/bad.conf"
printf '[server]\ncredentials = %s/secrets\n' "$tmp" >"$tmp/bad.conf"
check "credentials that are not there are told of" exits 0 "not checked: credentials: $tmp/secrets: No such file" \
    check-config -c "$tmp/bad.conf"
(umask 077 && printf 'user = a\n' >"$tmp/secrets")
check "those that cannot be are refused" exits 1 "$tmp/secrets: password: is missing" \
    check-config -c "$tmp/bad.conf"
mkdir "$tmp/bad.d"
printf 'select = load\n' >"$tmp/bad.d/a.conf"
printf '[log]\n' >"$tmp/bad.conf"
check "a forecaster without a name" exits 1 "a.conf: line 1: select: must stand under a [section]" \
    check-config -c "$tmp/bad.conf"
rm -r "$tmp/bad.d"
check "a missing file" exits 1 "/nonexistent.conf" check-config -c /nonexistent.conf

{ echo time,a; for day in 1 2 3 4 5 6; do echo "2026-01-0$day,$day"; done; } >"$tmp/few.csv"
check "of a few lines no long horizon is forecast" \
    exits 1 "$tmp/few.csv: holds 6 steps, and --horizon 96 needs 288 of them" forecast --csv "$tmp/few.csv"
check "but a short one is" exits 0 "a  by " forecast --csv "$tmp/few.csv" --horizon 2
check "import of a missing file names it" exits 1 "/nonexistent.csv: No such file" \
    import -c "$conf" /nonexistent.csv
check "of a folder" exits 1 "$tmp: is a folder" import -c "$conf" "$tmp"
check "and makes no state folder" [ ! -e "$tmp/state" ]
check "forecast without a state folder says what to do" exits 1 "start \`frwkvd serve\`" \
    forecast -c "$conf" load
check "import of an empty file says what it wants" exits 1 "/dev/null: csv: must have a header line" \
    import -c "$conf" /dev/null
printf '[store]\nfolder = /proc/frwkvd\n' >"$tmp/bad.conf"
check "a folder that cannot be made: what to do" \
    exits 1 "/proc/frwkvd: cannot be made" serve -c "$tmp/bad.conf"

start
other=$tmp/other.conf
sed "s/listen = .*/listen = 127.0.0.1:$(free_port)/" "$conf" >"$other"
check "a second daemon on the folder is refused" exits 1 "$tmp/state" serve -c "$other"
sed "s|folder = .*|folder = $tmp/state2|" "$conf" >"$other"
check "a taken address is refused by name" exits 1 "127.0.0.1:$port" serve -c "$other"
kill -HUP "$pid"
check "SIGHUP checks the configuration" wait_for 10 grep -q "reloaded report=" "$tmp/log"
echo nonsense >>"$conf"
kill -HUP "$pid"
check "SIGHUP reports a bad one" wait_for 10 grep -q "not accepted, going on as before: $conf" "$tmp/log"
get /-/healthy
check "and the daemon goes on" [ "$status" = 200 ]
stop
check "SIGTERM ends it well" [ "$stopped" = 0 ]
check "its first line says what runs" sh -c \
    "head -n 1 '$tmp/log' | grep -q 'config=.*database=$tmp/state address=.*threads='"
done_testing
