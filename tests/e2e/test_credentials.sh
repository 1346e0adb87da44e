#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# With credentials nobody gets in without them, and the subcommands know them.
. "$(dirname "$0")/lib.sh"

configure
sed -i 's/^listen = .*/&\ncredentials = secrets/' "$conf"
printf 'user = sender\npassword = correct horse\ntoken = 6qwLzUyT\n' >"$tmp/secrets"

chmod 644 "$tmp/secrets"
"$frwkvd" serve -c "$conf" 2>"$tmp/log"
check "a file open to others is refused" grep -q "is open to others; type  chmod o= $tmp/secrets" "$tmp/log"

chmod 600 "$tmp/secrets"
start
sample='{"samples": [{"series": "x", "time": "2026-01-01T00:00:00Z", "value": 1}]}'
post /v1/samples "$sample"
check "nobody stores without" problem 401 "" "credentials are needed here"
request POST /v1/samples --json "$sample" -u "sender:wrong"
check "nor with wrong ones" problem 401 "" "not known here"
request POST /v1/samples --json "$sample" -u "sender:correct horse"
check "user and password" [ "$status" = 200 ]
request POST /v1/samples --json "$sample" -H "Authorization: Bearer 6qwLzUyT"
check "the token" [ "$status" = 200 ]
request GET "/metrics"
check "metrics too are closed" [ "$status" = 401 ]

printf 'time,y\n2026-01-01,1\n' >"$tmp/y.csv"
check "a subcommand knows them" "$frwkvd" import -c "$conf" "$tmp/y.csv"
printf 'token = other\n' >"$tmp/secrets"
"$frwkvd" import -c "$conf" "$tmp/y.csv" 2>"$tmp/err"
check "or says what is wrong" grep -q "these credentials are not known here (\[server\] credentials = secrets)" "$tmp/err"
rm "$tmp/secrets"
"$frwkvd" import -c "$conf" "$tmp/y.csv" 2>"$tmp/err"
check "or which file it lacks" grep -q "credentials: $tmp/secrets: No such file" "$tmp/err"
printf 'user = sender\npassword = correct horse\ntoken = 6qwLzUyT\n' >"$tmp/secrets"
wave 300 1 >"$tmp/wave.csv"
request POST "/v1/import?history=true" --data-binary @"$tmp/wave.csv" -H 'Content-Type: text/csv' -u "sender:correct horse"
request PUT /v1/forecasters/x --json '{"select": "load", "step": "1h", "lookback": 24, "horizon": 12,
    "settings": {"epochs": 1, "steps_per_epoch": 2, "batch": 2, "width": 8, "heads": 1}}' -H "Authorization: Bearer 6qwLzUyT"
request POST /v1/forecasters/x/train -H "Authorization: Bearer 6qwLzUyT"
check "a job is asked for" [ "$status" = 202 ]
job=$(value .id)
job_over() { request GET "/v1/jobs/$job" -u "sender:correct horse" && is '.finished != null' true; }
check "it ends" wait_for 20 job_over
check "no job keeps secrets, nor anything else that is stored" sh -c "! grep -rqaE 'horse|6qwLzUyT' '$tmp/state'"
check "secrets are in no log" sh -c "! grep -E 'horse|6qwLzUyT' '$tmp/log'"

# From here on whoever asks /metrics must know the token.
printf 'header = "Authorization: Bearer 6qwLzUyT"\n' >"$tmp/.curlrc"
CURL_HOME="$tmp" stop
check "the daemon ends well" [ "$stopped" = 0 ]
mkdir "$tmp/given"
printf 'token = by systemd\n' >"$tmp/given/secrets"
chmod 400 "$tmp/given/secrets"
export CREDENTIALS_DIRECTORY="$tmp/given"
start
request POST /v1/samples --json "$sample" -H "Authorization: Bearer by systemd"
check "systemd's LoadCredential=" [ "$status" = 200 ]
printf 'header = "Authorization: Bearer by systemd"\n' >"$tmp/.curlrc"
CURL_HOME="$tmp" stop
done_testing
