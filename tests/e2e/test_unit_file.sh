#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The systemd unit: no complaint, and hardened to 1.2 or better (of 10).
. "$(dirname "$0")/lib.sh"

command -v systemd-analyze >/dev/null || { echo "skip unit: systemd-analyze is not installed"; exit 77; }
# The program need not be installed for this.
sed "s|^ExecStart=[^ ]*|ExecStart=$(command -v true)|" etc/frwkvd.service >"$tmp/frwkvd.service"
body=$(systemd-analyze verify "$tmp/frwkvd.service" 2>&1)
check "systemd-analyze verify has nothing to say" [ -z "$body" ]
body=$(systemd-analyze security --offline=true "$tmp/frwkvd.service" 2>/dev/null | tail -n 1)
check "systemd-analyze security: exposure of 1.2 or less" sh -c \
    "echo '$body' | sed 's/.*: //' | awk '{ exit !(\$1 > 0 && \$1 <= 1.2) }'"
done_testing
