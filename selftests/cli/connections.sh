#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# connections: which sockets have the ULP, as the kernel tells by an iterator, against what the
# program that has them knows.
#
# worlds: smcd none
# timeout: 600

set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/tests/guest.sh"

# A listener, a client that sends 1000 bytes and gets 300, and a plain connection; it prints
# the ports and ends with its standard input.
cat > "$tmp/peers.py" << 'END'
import socket, sys
TCP_ULP = 31
def tcp(ulp):
    s = socket.socket()
    if ulp:
        s.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b'smc')
    return s
def listener(ulp):
    s = tcp(ulp)
    s.bind(('127.0.0.1', 0))
    s.listen()
    return s
def connect(l, ulp):
    c = tcp(ulp)
    c.connect(l.getsockname())
    return c, l.accept()[0]
def get(s, n):
    while n:
        n -= len(s.recv(n))
l, plain = listener(True), listener(False)
c, s = connect(l, True)
d, t = connect(plain, False)
c.sendall(bytes(1000)); get(s, 1000)
s.sendall(bytes(300)); get(c, 300)
print(l.getsockname()[1], c.getsockname()[1], plain.getsockname()[1], d.getsockname()[1], flush=True)
sys.stdin.read()
END

ok "nothing is there, nothing is said" silent smcpolicy connections
ok "as JSON: an empty array" says '^\[ *\]$' smcpolicy -j connections

coproc peers { exec python3 "$tmp/peers.py"; }
# shellcheck disable=SC2154
peers_in=${peers[1]} peers_pid=$peers_PID
read -r -t 120 listening client plain other <&"${peers[0]}"
listed() { says "$1" smcpolicy connections; }
not_listed() { smcpolicy connections > "$tmp/out"; ! has "$tmp/out" "$1" || { show "$tmp/out"; return 1; }; }

ok "the listener" listed "^listen +127\.0\.0\.1:$listening uid 0$"
if [ "$WORLD" = smcd ]; then
	ok "the client" listed "^smcd +127\.0\.0\.1:$client > 127\.0\.0\.1:$listening client v[12] group [0-9a-f]{8} tx 1000 rx 300 handshake [0-9]+us rule 0 uid 0$"
	ok "the server" listed "^smcd +127\.0\.0\.1:$listening > 127\.0\.0\.1:$client server v[12] group [0-9a-f]{8} tx 300 rx 1000 handshake [0-9]+us rule 0 uid 0$"
	ok "which process" says ":$client > .* pid $peers_pid \(python3" smcpolicy connections --processes
else
	ok "what fell back is not there" not_listed ":$client"
	ok "which process" says "^listen .* pid $peers_pid \(python3" smcpolicy connections --processes
fi
ok "plain TCP is not there" not_listed ":($plain|$other)( |$)"

cat > "$tmp/check.py" << 'END'
import json, sys
world, listening, client, pid = sys.argv[1], *map(int, sys.argv[2:5])
rows = json.load(sys.stdin)
def one(**want):
    found = [r for r in rows if all(r.get(k) == v for k, v in want.items())]
    assert len(found) == 1, (want, rows)
    return found[0]
one(state='listen', local_addr='127.0.0.1', local_port=listening, pid=pid, uid=0)
if world == 'smcd':
    c = one(state='smcd', role='client', local_port=client, remote_port=listening, tx_bytes=1000,
            rx_bytes=300, rule=0, pid=pid)
    s = one(state='smcd', role='server', local_port=listening, remote_port=client, tx_bytes=300,
            rx_bytes=1000)
    assert c['cookie'] != s['cookie'] and c['handshake_ns'] > 0 and c['lifetime_ns'] > 0
    assert c['sndbuf'] > 0 and c['rcvbuf'] > 0 and c['ib_name'] == '' and c['link_group'] > 0
assert len(rows) == (3 if world == 'smcd' else 1), rows
END
as_json() { smcpolicy -j connections -P > "$tmp/json" && python3 "$tmp/check.py" "$WORLD" "$listening" "$client" "$peers_pid" < "$tmp/json"; }
ok "as JSON" as_json

exec {peers_in}>&-
wait "$peers_pid" || :
nothing() { smcpolicy connections > "$tmp/out" && [ ! -s "$tmp/out" ]; }
ok "they are gone with their program" wait_for 60 nothing
ok "no arguments" refused 2 "argument" "" connections something

done_testing
