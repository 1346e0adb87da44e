#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Socket activation: the manager listens, the first connection starts the daemon, which
# serves it and those that follow on the same socket.
. "$(dirname "$0")/lib.sh"

command -v systemd-socket-activate >/dev/null || { echo "skip socket: systemd-socket-activate is not installed"; exit 77; }

configure
other=$(free_port)
sed -i "s/^listen = .*/listen = 127.0.0.1:$other/" "$conf" # not where it is to listen
systemd-socket-activate -l "127.0.0.1:$port" "$frwkvd" serve -c "$conf" 2>"$tmp/log" &
pid=$!
listening() { grep -q "Listening on" "$tmp/log"; }
wait_for 20 listening
check "nothing runs before somebody asks" sh -c "! grep -q 'address=(systemd)' '$tmp/log'"
post /v1/samples '{"samples": [{"series": "a", "time": "2026-01-01T00:00:00Z", "value": 1}]}'
check "the connection that started it is served" [ "$status" = 200 ]
check "the daemon says whose socket it is" grep -q "address=(systemd) port=$port" "$tmp/log"
get '/v1/samples?series=a'
check "and so are the next" is '.samples[0].value' 1
check "the configured address is not used" sh -c "! curl -s 'http://127.0.0.1:$other/'"
stop
check "the daemon ends well" [ "$stopped" = 0 ]
done_testing
