#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ids.sh -- every row of the mixers' test table has a test whose name begins with its id:
# G all mixers, S softmax, L linear, R rwkv7, I inline, T taylor2, U luna, D gdn_swa, H h3,
# F the network around them, P in-context, Q diagnosis, W the gate.
set -u
cd "$(dirname "$0")/.." || exit 1
rows='g1 g2 g3 g4 g5 g6 g7 g8  s1 s2  l1 l2  r1 r2 r3 r4 r5 r6  i1 i2 i3 i4  t1 t2 t3 t4
u1 u2 u3 u4  d1 d2 d3 d4  h1 h2 h3 h4  f1 f2 f3 f4 f5  p1 p2 p3 p4 p5  q1  w1 w2 w3'
there=$(cat tests/model/*.c tests/fft/*.c |
    sed -n 's/^ *cmocka_unit_test(\([a-z][0-9]\)_.*/\1/p' | sort -u)
missing=$(echo "$rows" | tr -s ' ' '\n' | sort -u | while read -r row; do
    echo "$there" | grep -qx "$row" || echo "no test: $row"
done)
if [ -z "$missing" ]; then
    echo "ok ids"
else
    echo "$missing"
    echo "not ok ids"
    exit 1
fi
