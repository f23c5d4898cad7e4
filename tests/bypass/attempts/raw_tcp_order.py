# SPDX-License-Identifier: Apache-2.0
"""
TCP by hand on a raw socket to the allowed address: the second half of a ClientHello with another name before the first.
"""
import random
import socket
import struct

from aim import CDN4, GOOD, HERE4, MARK, OTHER, command, hello, perhaps, resolve, run, wire

SYN, ACK, PUSH = 2, 16, 8


def conversation(s, port, pieces):
    def send(seq, ack, flags, data=b""):
        s.sendto(wire.tcp_segment(HERE4, CDN4, port, 443, seq, ack, flags, data), (CDN4, 0))

    send(1000, 0, SYN)
    while True:
        packet = s.recv(2048)
        _, dport, theirs = struct.unpack(">HHI", packet[20:28])
        if dport == port:
            break
    send(1001, theirs + 1, ACK)
    for at, data in pieces:
        perhaps(send, 1001 + at, theirs + 1, ACK | PUSH, data)


def attempt():
    resolve(GOOD)
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
    s.settimeout(2)
    greeting = hello.client_hello(OTHER)
    half = greeting.index(OTHER.encode()) - 4
    command("nft", """table ip egraw {
    chain out {
        type filter hook output priority 0
        tcp flags rst drop
    }
}""")
    try:
        conversation(s, random.randrange(30000, 40000), [(half, greeting[half:]), (0, greeting[:half]), (len(greeting), MARK)])
    finally:
        command("nft", "delete", "table", "ip", "egraw")


run(attempt)
