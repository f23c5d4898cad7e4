#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A small TCP and UDP server for the end-to-end tests, IPv4 and IPv6: takes everything, and does one thing.

usage: servers.py (sink|echo|source|reset) (tcp|udp) PORT

sink takes and drops; echo sends back; source sends 300,000 bytes and closes; reset takes one byte and resets.
"""
import selectors
import socket
import struct
import sys

LINGER_0 = struct.pack("ii", 1, 0)


def serve_udp(what, s):
    while True:
        data, peer = s.recvfrom(65536)
        if what == "echo":
            s.sendto(data, peer)


def serve_tcp(what, listener):
    sel = selectors.DefaultSelector()
    sel.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in sel.select():
            s = key.fileobj
            if s is listener:
                s, _peer = listener.accept()
                if what == "source":
                    with s:
                        try:
                            s.sendall(bytes(300000))
                        except OSError:     # the other side had enough
                            pass
                else:
                    sel.register(s, selectors.EVENT_READ)
                continue
            try:
                data = s.recv(262144)
                if data and what == "echo":
                    s.sendall(data)
                if data and what == "reset":
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
                    data = b""
            except OSError:
                data = b""
            if not data:
                sel.unregister(s)
                s.close()


def main():
    what, proto, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("::", port))
    if proto == "udp":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        serve_udp(what, s)
    else:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
        s.listen(512)
        serve_tcp(what, s)


main()
