#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""usage: connections.py [--until smc|tcp] [FROM,]TO:PORT[*BYTES]...

Makes a connection for each argument, from the address FROM to TO, with both ends in this process;
listeners are on [::] and stay until the end. The client sends BYTES (default 100), closes, and the
server closes when it has seen that. For each a line says what carried the data at both ends:

    TO:PORT client smc server smc

or "reset" or the name of an error instead of "smc" and "tcp". With --until the first argument is
repeated, 300 times at most, until the client's end is so, and a last line says "after N".
"""
import errno
import socket
import sys

TCP_ULP = 31
listeners = {}


def mode(sock):
    name = sock.getsockopt(socket.IPPROTO_TCP, TCP_ULP, 16)
    return "smc" if name.rstrip(b"\0") == b"smc" else "tcp"


def listener(port):
    if port not in listeners:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("::", port))
        sock.listen(8)
        listeners[port] = sock
    return listeners[port]


def connect(spec):
    where, _, amount = spec.partition("*")
    source, _, target = where.rpartition(",")
    address, _, port = target.rpartition(":")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = listener(int(port))
    client = socket.socket(family, socket.SOCK_STREAM)
    try:
        if source:
            client.bind((source, 0))
        client.settimeout(60)
        client.connect((address, int(port)))
        server.settimeout(60)
        accepted, _ = server.accept()
        accepted.settimeout(60)
        client_mode, server_mode = mode(client), mode(accepted)
        client.sendall(b"x" * int(amount or 100))
        client.close()
        while accepted.recv(1 << 16):
            pass
        accepted.close()
    except OSError as error:
        client.close()
        client_mode = server_mode = errno.errorcode.get(error.errno, "timeout")
    print(f"{target} client {client_mode} server {server_mode}", flush=True)
    return client_mode


def main():
    args = sys.argv[1:]
    if args[0] != "--until":
        for spec in args:
            connect(spec)
        return 0
    for tries in range(1, 301):
        if connect(args[2]) == args[1]:
            print(f"after {tries}")
            return 0
    return 1


sys.exit(main())
