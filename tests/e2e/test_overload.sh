#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# More than the daemon takes: 503 with Retry-After, in bounded memory, and it recovers.
. "$(dirname "$0")/lib.sh"

configure
sed -i 's/^folder = .*/&\nmax_queue_samples = 1000\nmax_head_samples = 10000/' "$conf"
start

# body N -- 900 samples of one series.
body_of() {
    awk -v n="$1" -v now="$(date +%s)" 'BEGIN {
        printf "{\"samples\":["
        for (i = 0; i < 900; i++)
            printf "%s{\"series\":\"s%d\",\"time\":%d000,\"value\":%d}", i ? "," : "", n, now - 900 + i, i
        print "]}"
    }'
}
for n in $(seq 40); do
    body_of "$n" >"$tmp/body.$n"
    printf 'next\nurl = "%s/v1/samples"\njson = "@%s"\noutput = "%s"\ndump-header = "%s"\nwrite-out = "%%{http_code}\\n"\n' \
        "$url" "$tmp/body.$n" "$tmp/answer.$n" "$tmp/header.$n"
done | sed 1d >"$tmp/requests"

curl -sS --no-progress-meter --parallel --parallel-max 40 --config "$tmp/requests" >"$tmp/codes"
accepted=$(grep -c '^200$' "$tmp/codes")
busy=$(grep -c '^503$' "$tmp/codes")
body=$(sort "$tmp/codes" | uniq -c)
check "each request is answered, with 200 or 503" [ $((accepted + busy)) = 40 ]
check "some are taken" [ "$accepted" -gt 0 ]
check "some are refused" [ "$busy" -gt 0 ]
check "a refusal says when to come again" \
    sh -c "cat '$tmp'/header.* | grep -A20 ' 503' | grep -qi '^Retry-After: [1-9]'"
check "as a problem document" sh -c "cat '$tmp'/answer.* | grep -q '\"status\": *503'"
get "/v1/series?limit=1000"
check "exactly what was acknowledged is stored" is '[.series[].samples] | add' $((accepted * 900))

post /v1/samples '{"samples": [{"series": "x", "time": "2026-01-01T00:00:00Z", "value": 1}]}'
retried() {
    post /v1/samples '{"samples": [{"series": "x", "time": "2026-01-01T00:00:00Z", "value": 1}]}'
    [ "$status" = 200 ] || [ "$(curl -s -o /dev/null -w '%{http_code}' "$url/-/healthy")" = 200 ]
}
check "it goes on answering" retried
stop
check "and ends well" [ "$stopped" = 0 ]
done_testing
