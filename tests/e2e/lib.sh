# SPDX-License-Identifier: GPL-2.0-or-later
#
# lib.sh -- for end-to-end tests: the built program, driven from outside.
#
#     . "$(dirname "$0")/lib.sh"
#     start                          a daemon on a free port with a state folder of its own
#     post /v1/samples '{...}'       status in $status, body in $body
#     check "what holds" [ $status = 200 ]
#     done_testing
#
# Everything lives in a temporary folder, $tmp, and is gone at the end.  Waiting is
# polling.  $FRWKVD names the program.

frwkvd=${FRWKVD:-${BUILD:-build}/frwkvd}
tmp=$(mktemp -d)
conf=$tmp/frwkvd.conf
pid=
failed=0

command -v jq >/dev/null || { echo "skip all jq is not installed"; exit 77; }

finish() {
    code=$?
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$tmp"
    exit $code
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM

# check NAME COMMAND... -- one result.  What was last answered is shown on failure.
check() {
    name=$1
    shift
    if "$@" >/dev/null 2>&1; then
        echo "ok $name"
    else
        echo "not ok $name"
        echo "  failed: $*"
        echo "  status=${status-} body=$(printf %s "${body-}" | head -c 600)"
        [ ! -f "$tmp/log" ] || tail -n 5 "$tmp/log" | sed 's/^/  log: /'
        failed=1
    fi
}

done_testing() {
    [ -z "$pid" ] || stop
    exit $failed
}

# A port of 20000..29999 at which nobody answers.
free_port() {
    while :; do
        candidate=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 10000))
        code=0
        curl -s -o /dev/null "http://127.0.0.1:$candidate/" || code=$?
        [ $code -ne 7 ] || break
    done
    echo "$candidate"
}

# configure [LINES] -- writes $conf; LINES are more of the section [train] or others.
configure() {
    [ -n "${port-}" ] || port=$(free_port)
    url=http://127.0.0.1:$port
    {
        printf '[server]\nlisten = 127.0.0.1:%s\n' "$port"
        printf '[store]\nfolder = %s\n' "$tmp/state"
        printf '%b' "${1-}"
    } >"$conf"
}

# wait_for SECONDS COMMAND... -- polls until it succeeds; $PATIENCE times as long where
# programs are slow.
wait_for() {
    tries=$(($1 * 5 * ${PATIENCE:-1}))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.2
    done
}

ready_or_dead() {
    curl -fs -o /dev/null "$url/-/ready" || ! kill -0 "$pid" 2>/dev/null
}

# start -- runs the daemon until it is ready.  Its log is $tmp/log.
start() {
    [ -f "$conf" ] || configure
    "$frwkvd" serve -c "$conf" 2>>"$tmp/log" &
    pid=$!
    wait_for 60 ready_or_dead
    kill -0 "$pid" 2>/dev/null || { echo "not ok the daemon starts"; cat "$tmp/log"; exit 1; }
}

# accounts_close -- whether of each dialect each sample received was stored, replaced
# another, was there already, or was refused (promise 2).
accounts_close() {
    curl -fsS "$url/metrics" | awk -F '"' '
        /^frwkvd_samples_received_total/ { split($3, v, " "); left[$2] += v[2]; seen++ }
        /^frwkvd_samples_(accepted|rejected)_total/ { split($5, v, " "); left[$2] -= v[2] }
        END { for (d in left) open += left[d] != 0; exit !(seen > 5 && !open) }'
}

# stop [SIGNAL] -- ends the daemon; its exit status is $stopped.  Unless it is killed, its
# books are looked at first.
stop() {
    [ "${1-}" = KILL ] || check "the accounting closes" accounts_close
    kill "-${1:-TERM}" "$pid"
    stopped=0
    wait "$pid" 2>/dev/null || stopped=$?
    pid=
}

# request METHOD PATH [CURL OPTION]... -- $status and $body.  Where $RECORD is set, a line
# of JSON about it goes there.
request() {
    method=$1 path=$2
    shift 2
    status=$(curl -s -o "$tmp/body" -w '%{http_code} %{content_type}' -X "$method" "$@" "$url$path") || :
    type=${status#* } status=${status%% *}
    body=$(tr -d '\000' <"$tmp/body")
    [ -z "${RECORD-}" ] || jq -cn --arg method "$method" --arg path "$path" --arg status "$status" \
        --arg type "$type" --rawfile body "$tmp/body" '$ARGS.named' >>"$RECORD"
}
get() { request GET "$@"; }
post() { request POST "$1" --json "$2"; }
put() { request PUT "$1" --json "$2"; }

# A figure of $body: value '.counts.stored'
value() {
    printf '%s' "$body" | jq -r "$1"
}

# is PATH WANTED -- whether that figure of $body is WANTED.
is() {
    [ "$(value "$1")" = "$2" ]
}

# problem STATUS FIELD TEXT -- whether the last answer is a problem document about FIELD
# (empty: any) whose detail contains TEXT.
problem() {
    [ "$status" = "$1" ] &&
        printf '%s' "$body" | jq -e --arg field "$2" --arg text "$3" \
            '(.status == '"$1"') and (.detail | contains($text))
             and ($field == "" or (.detail | startswith($field)))' >/dev/null
}

# The instant N seconds from now, whole minutes: RFC 3339.
instant() {
    date -u -d "@$(($(date +%s) / 60 * 60 + $1))" +%Y-%m-%dT%H:%M:%SZ
}

# wave HOURS SERIES -- a wide CSV of hourly samples with a day's rhythm, up to the last
# full hour.  The same arguments within an hour give the same bytes.
wave() {
    awk -v hours="$1" -v series="$2" -v now="$(date +%s)" -v unit="${3:-3600}" 'BEGIN {
        printf "time"
        for (s = 1; s <= series; s++) printf ",\"load{host=\"\"h%d\"\"}\"", s
        printf "\n"
        end = int(now / 3600) * 3600
        for (i = 0; i < hours; i++) {
            t = end - (hours - i) * 3600
            printf "%d", t
            for (s = 1; s <= series; s++) {
                noise = sin(i * 12.9898 + s * 78.233) * 43758.5453
                noise -= int(noise)
                printf ",%.4f", 50 + 20 * sin(t * 6.283185307 / 86400 + s) + 2 * noise
            }
            printf "\n"
        }
    }'
}

# tones HOURS SERIES [UNIT] -- the same, of rhythms that do not repeat after a whole number
# of hours: no season to repeat, but much to learn, so that the network serves.  Up to the
# newest multiple of UNIT seconds (3600): of 86400 the same hours of a day at any time.
tones() {
    awk -v hours="$1" -v series="$2" -v now="$(date +%s)" -v unit="${3:-3600}" 'BEGIN {
        printf "time"
        for (s = 1; s <= series; s++) printf ",\"load{host=\"\"h%d\"\"}\"", s
        printf "\n"
        end = int(now / unit) * unit
        for (i = 0; i < hours; i++) {
            printf "%d", end - (hours - i) * 3600
            for (s = 1; s <= series; s++)
                printf ",%.4f", sin(i / 5.04 + s) + sin(i / 1.8 + 2 * s) + 0.7 * sin(i / 1.26)
            printf "\n"
        }
    }'
}

# job_ended ID -- whether it has.
job_ended() {
    get "/v1/jobs/$1"
    case $(value .state) in done | failed | cancelled) ;; *) return 1 ;; esac
}
