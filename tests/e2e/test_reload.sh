#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Forecasters that files define, and reading the files again: all of it or nothing.
. "$(dirname "$0")/lib.sh"

files=$tmp/frwkvd.d

# file NAME HORIZON [LINES] -- defines forecaster NAME in NAME.conf.
file() {
    printf '[%s]\nselect = load\nstep = 1h\nlookback = 48\nhorizon = %s\n%b' "$1" "$2" "${3-}" \
        >"$files/$1.conf"
}
reload() { request POST /-/reload; }
hang_up() { kill -HUP "$pid"; }
horizon() { get "/v1/forecasters/$1" && is .horizon "$2"; }

configure
mkdir "$files"
file web 24 'quantiles = [0.05, 0.5,\n  0.95]\ntrain.every = 1d\nforecast.cron = 5 * * * *
forecast.zone = Europe/Berlin\nsettings.epochs = 7\n'
printf '[other]\n' >"$files/.hidden.conf"
echo 'nonsense' >"$files/README"
start

get /v1/forecasters/web
check "a file defines a forecaster" [ "$status" = 200 ]
check "every field arrives" is '[.horizon, .quantiles[2], .train.every, .forecast.cron,
    .forecast.zone, .settings.epochs, .file] | @json' \
    "[24,0.95,\"1d\",\"5 * * * *\",\"Europe/Berlin\",7,\"$files/web.conf\"]"
put /v1/forecasters/web '{"select": "load", "step": "1h"}'
check "PUT is refused, and names the file" problem 409 "" "$files/web.conf"
request DELETE /v1/forecasters/web
check "DELETE is refused, and names the file" problem 409 "" "$files/web.conf"
put /v1/forecasters/mine '{"select": "load", "step": "1h"}'
check "others are free" [ "$status" = 201 ]

file web 12
file db 6
reload
check "a reload tells what it did" is '.forecasters | @json' \
    '{"files":2,"created":1,"changed":1,"deleted":0}'
check "what changed is in force" horizon web 12
reload
check "a second one changes nothing" is '.forecasters | [.created, .changed, .deleted] | add' 0
get /v1/forecasters/web
check "not even the revision" is .revision 2

# One fault anywhere, and nothing happens.
file web 3
file zzz 0
reload
check "a bad value is refused with file, line and rule" problem 400 "" \
    "$files/zzz.conf: line 5: horizon: must be an integer in 1..2048, got 0"
check "and changes nothing" horizon web 12
hang_up
refused() { grep -q "not accepted, going on as before: $files/zzz.conf: line 5" "$tmp/log"; }
check "SIGHUP says the same in the log" wait_for 20 refused
check "and changes nothing, too" horizon web 12
file zzz 4 'horizont = 3\n'
reload
check "an unknown field" problem 400 "" "$files/zzz.conf: line 6: horizont: is not a field"
file zzz 4 'forecast.cron = 61 * * * *\n'
reload
check "a bad schedule" problem 400 "" "forecast.cron: minute must be a list of 0..59"
file zzz 4 'horizon = 5\n'
reload
check "a field given twice" problem 400 "" "$files/zzz.conf: line 6: horizon: given twice"
rm "$files/zzz.conf"
cp "$files/db.conf" "$files/again.conf"
reload
check "a forecaster in two files" problem 400 "" "[db]: stands in $files/again.conf already"
rm "$files/again.conf"
cp "$conf" "$tmp/good.conf"
echo 'port = 1' >>"$conf"
reload
check "a fault of the configuration counts as well" problem 400 "" "$conf: line 5: port"
check "nothing of the good files is taken then" horizon web 12
sed 's/^listen/threads = 3\nlisten/' "$tmp/good.conf" >"$conf"
reload
check "what takes a restart is said" is '.restart | @json' '["[server] threads"]'
check "the good files are taken" horizon web 3
cp "$tmp/good.conf" "$conf"

hang_up
file web 8
hang_up
check "SIGHUP takes what is good" wait_for 20 horizon web 8

# The file is read once: what is checked is what is taken.  A pipe can be read but once.
rm "$files/web.conf"
mkfifo "$files/web.conf"
printf '[web]\nselect = load\nstep = 1h\nhorizon = 9\n' >"$files/web.conf" &
request POST /-/reload --max-time 20
check "each file is read once" horizon web 9
rm "$files/web.conf"
file web 8
reload

# A deployment swaps a symbolic link.
mv "$files" "$tmp/first"
cp -r "$tmp/first" "$tmp/second"
ln -s "$tmp/first" "$files"
reload
check "a symbolic link is followed" horizon web 8
sed -i 's/^horizon.*/horizon = 16/' "$tmp/second/web.conf"
ln -sfn "$tmp/second" "$files"
hang_up
check "and its swap noticed" wait_for 20 horizon web 16

stop
check "the daemon ends well" [ "$stopped" = 0 ]
rm "$files/db.conf"
start
get /v1/forecasters
check "at the start the files count, too" is '[.forecasters[].name] | @json' '["mine","web"]'
rm "$files"
reload
check "without files their forecasters are gone" is .forecasters.deleted 1
get /v1/forecasters
check "and the others stay" is '[.forecasters[].name] | @json' '["mine"]'
stop

mkdir "$files"
file bad 0
status=0
"$frwkvd" check-config -c "$conf" >"$tmp/out" 2>&1 || status=$?
body=$(cat "$tmp/out")
check "check-config looks at the files" [ "$status" = 1 ]
check "and says what is wrong" grep -q "bad.conf: line 5: horizon" "$tmp/out"
status=0
"$frwkvd" serve -c "$conf" >"$tmp/out" 2>&1 || status=$?
check "serve does not start with a bad file" [ "$status" = 1 ]
file bad 4
check "check-config names who is defined where" sh -c \
    "'$frwkvd' check-config -c '$conf' | grep -q '^# forecaster bad, in $files/bad.conf'"
done_testing
