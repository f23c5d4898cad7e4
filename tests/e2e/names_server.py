#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A DNS server that does what makes names hard: usage: names_server.py ADDRESS

Of <anything>.<kind>.<zone>.test: one address that is another one each time; many (110) in one datagram; tcp: 300, over TCP
only; chain: seven aliases, through other people's zones; both: IPv4 and IPv6; six: IPv6 only; cut: over TCP, the message
in many segments. Addresses of zone `allowed` are in 10.78.0.0/17 and fd78::/64, of `denied` in 10.79.0.0/16 and fd79::/64;
10.78.255.0/24 is never given. The time to live is 0 or 1.
"""
import itertools
import random
import selectors
import socket
import struct
import sys

NEXT = itertools.count(1)


def name(text):
    return b"".join(bytes([len(p)]) + p.encode() for p in text.split(".")) + b"\0"


def read_name(m, at):
    parts = []
    while m[at]:
        parts.append(m[at + 1:at + 1 + m[at]].decode())
        at += 1 + m[at]
    return ".".join(parts), at + 5


def v4(zone):
    k = next(NEXT) % 32000
    return bytes([10, 78 if zone == "allowed" else 79, k >> 8, k & 255])


def v6(zone):
    return socket.inet_pton(socket.AF_INET6, f"fd{'78' if zone == 'allowed' else '79'}::{next(NEXT) % 60000 + 1:x}")


def record(owner, kind, data):
    return owner + struct.pack("!HHIH", kind, 1, random.randrange(2), len(data)) + data


def answers(asked, kind):
    """Records and whether they may go in a datagram."""
    what, zone = asked.lower().split(".")[1:3]
    family = {1: v4, 28: v6}.get(kind)
    count = {"many": 110, "tcp": 300, "cut": 250}.get(what, 1)
    if family is None or (kind == 28 and what not in ("both", "six")) or (kind == 1 and what == "six"):
        return [], True
    owner, records = b"\xc0\x0c", []
    if what == "chain":
        for i in range(7):
            target = name(f"c{i}-{next(NEXT)}.edge{i}.cdn.test")
            records.append(record(owner, 5, target))
            owner = target
    records += [record(owner, kind, family(zone)) for _ in range(count)]
    if what != "chain":
        random.shuffle(records)
    return records, what not in ("tcp", "cut")


def answer(m, datagram):
    asked, end = read_name(m, 12)
    kind = struct.unpack("!H", m[end - 4:end - 2])[0]
    records, fits = answers(asked, kind)
    if datagram and not fits:
        return m[:2] + struct.pack("!HHHHH", 0x8780, 1, 0, 0, 0) + m[12:end], asked
    return m[:2] + struct.pack("!HHHHH", 0x8580, 1, len(records), 0, 0) + m[12:end] + b"".join(records), asked


def serve_stream(s):
    s.settimeout(5)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with s:
        while True:
            try:
                n = s.recv(2, socket.MSG_WAITALL)
                if len(n) < 2:
                    return
                m, asked = answer(s.recv(struct.unpack("!H", n)[0], socket.MSG_WAITALL), False)
                m = struct.pack("!H", len(m)) + m
                if ".cut." in asked.lower():
                    for at in range(0, len(m), 700):
                        s.sendall(m[at:at + 700])
                else:
                    s.sendall(m)
            except OSError:
                return


def main():
    address = sys.argv[1]
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    udp.bind((address, 53))
    tcp = socket.socket()
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tcp.bind((address, 53))
    tcp.listen(256)
    sel = selectors.DefaultSelector()
    sel.register(udp, selectors.EVENT_READ)
    sel.register(tcp, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in sel.select():
            if key.fileobj is udp:
                m, peer = udp.recvfrom(4096)
                udp.sendto(answer(m, True)[0], peer)
            else:
                serve_stream(tcp.accept()[0])


main()
