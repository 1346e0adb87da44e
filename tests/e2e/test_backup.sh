#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A backup of a daemon at work, checked, and restored to another state folder.
. "$(dirname "$0")/lib.sh"

# samples FIRST COUNT -- as many samples of one series from that second on.
samples() {
    awk -v first="$1" -v count="$2" -v now="$(date +%s)" 'BEGIN {
        printf "{\"samples\":["
        for (i = first; i < first + count; i++)
            printf "%s{\"series\":\"load\",\"time\":%.0f,\"value\":%d}", (i > first ? "," : ""),
                   (int(now / 3600) * 3600 - 86400 + i) * 1000, i
        printf "]}"
    }'
}

says() { # says TEXT -- whether the last command printed it
    grep -q -- "$1" "$tmp/out"
}

run() { # run COMMAND... -- its exit status in $code
    code=0
    "$frwkvd" "$@" >"$tmp/out" 2>&1 || code=$?
}

start
post /v1/samples "$(samples 0 1000)"
check "samples are taken" [ "$status" = 200 ]
run backup -c "$conf" "$tmp/copy"
check "a daemon at work is backed up" [ $code = 0 ]
check "the copy is checked" says " 0 damaged"
post /v1/samples "$(samples 1000 10)"
run backup -c "$conf" "$tmp/copy"
check "a backup is never overwritten" [ $code = 1 ]
check "and that is said" says "never overwritten"
full_disk=$(readlink -f "${BUILD:-build}/tests/tools/full_disk.so")
echo /copy2/ >"$tmp/full"
run_full() { # run_full COMMAND... -- on a disk with no room for what $tmp/full says
    code=0
    LD_PRELOAD=$full_disk FULL_DISK=$tmp/full ASAN_OPTIONS=verify_asan_link_order=0 \
        "$frwkvd" "$@" >"$tmp/out" 2>&1 || code=$?
}
run_full backup -c "$conf" "$tmp/copy2"
check "a backup to a full disk fails" [ $code = 1 ]
check "and says where, how much is wanted, and what to do" \
    says "$tmp/copy2: the disk is full: the copy takes up to [0-9.]* MB, [0-9.]* MB are free; .*choose another folder"
check "it leaves nothing" [ -z "$(ls -A "$tmp/copy2")" ]
rm "$tmp/full"
run_full backup -c "$conf" "$tmp/copy2"
check "with room there it is made" [ $code = 0 ]
run verify -c "$conf"
check "a daemon at work is verified" [ $code = 0 ]
run verify -c "$conf" "$tmp/copy"
check "a backup is verified" [ $code = 0 ]
run restore -c "$conf" "$tmp/copy"
check "a daemon at work is not restored over" [ $code = 1 ]
check "and its process is named" says "in use by process $pid"
stop
run restore -c "$conf" "$tmp/copy"
check "nor is what it left" [ $code = 1 ]

mv "$tmp/state" "$tmp/lost"
echo /state/ >"$tmp/full"
run_full restore -c "$conf" "$tmp/copy"
check "nor is a backup restored to a full disk" [ $code = 1 ]
check "and that is said" says "state: the disk is full"
check "no half database is left" [ "$(ls -A "$tmp/state")" = lock ]
run restore -c "$conf" "$tmp/copy"
check "a missing state folder is restored" [ $code = 0 ]
start
get "/v1/samples?series=load&limit=10000"
check "it holds what there was" is '.samples | length' 1000
stop

printf 'no database' >"$tmp/copy/frwkvd.db"
mv "$tmp/state" "$tmp/lost2"
run restore -c "$conf" "$tmp/copy"
check "a damaged backup is not restored" [ $code = 1 ]
check "nothing is made of it" [ ! -e "$tmp/state/frwkvd.db" ]
run backup -c "$conf"
check "a backup needs a folder" [ $code = 2 ]
run verify -c "$conf"
check "nothing cannot be verified" says "holds no database"
mkdir -p "$tmp/empty" "$tmp/odd/frwkvd.db"
for command in verify restore; do
    refused() { # refused FOLDER TEXT
        run "$command" -c "$conf" "$1"
        check "$command: $2" [ $code = 1 ]
        check "$command: what is expected is said" \
            says "$1.*: $2: expected a state folder or a backup; name one"
    }
    refused "$tmp/none" "there is no such folder"
    refused "$conf" "is not a folder"
    refused "$tmp/empty" "no frwkvd.db is in it"
    refused "$tmp/odd" "is not a file"
done
done_testing
