#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The far end of TCP connections whose near end has closed: packets come late, twice and out of order, as a wire may bring them.

usage: late_server.py PORT

The client sends one letter and closes; PACKETS says what then comes. The kernel here hears no answer, so that it sends nothing.
"""
import socket
import struct
import subprocess
import sys
import time

LINGER_0 = struct.pack("ii", 1, 0)

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
SAID = b"hello"

# (flags, where it begins from the next byte expected, payload), after the client's FIN. t: both have closed, TIME_WAIT
# answers (seen from there the next byte is the one after our FIN); f: our end is still open, a stub in FIN_WAIT2 answers.
PACKETS = {
    b"t": [(ACK, -1, b""), (ACK, -1, b""), (ACK, 0, b""), (FIN | ACK, -1, b""), (FIN | ACK, -1, b""),
           (PSH | ACK, -6, SAID), (PSH | ACK, -6, SAID), (RST, -3, b""), (FIN | PSH | ACK, -6, SAID), (RST, 0, b""),
           (FIN | ACK, -1, b"")],
    b"f": [(RST, -2, b""), (ACK, 0, b""), (ACK, -1, b""), (ACK, -2, b""), (PSH | ACK, -5, SAID), (PSH | ACK, -5, SAID), (FIN | ACK, 0, b""),
           (FIN | ACK, 0, b""), (ACK, 1, b""), (ACK, 0, b"")],
    b"d": [(PSH | ACK, -5, SAID), (PSH | ACK, 0, b"more"), (PSH | ACK, 4, b"and more"), (ACK, 0, b"")],
    b"s": [(SYN, 9, b""), (ACK, 9, b"")],
    b"r": [(RST, 0, b"")],
}


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packet(here, there, flags, seq, ack, payload):
    src, dst = socket.inet_aton(here[0]), socket.inet_aton(there[0])

    def tcp(check):
        return struct.pack("!HHIIBBHHH", here[1], there[1], seq, ack, 5 << 4, flags, 500, check, 0) + payload

    whole = src + dst + struct.pack("!HH", socket.IPPROTO_TCP, 20 + len(payload)) + tcp(0)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 40 + len(payload), 0, 0, 64, socket.IPPROTO_TCP, 0) + src + dst
    return ip + tcp(checksum(whole + bytes(len(whole) % 2)))


def numbers(sniffer, port):
    """Sequence number and acknowledgement of the last packet that we sent to this port: what we say next."""
    seq = ack = None
    while True:
        try:
            data, where = sniffer.recvfrom(2048)
        except BlockingIOError:
            return seq, ack
        at = (data[0] & 15) * 4
        if where[1:3] != (0x0800, socket.PACKET_OUTGOING) or data[9] != socket.IPPROTO_TCP or \
                data[at + 2:at + 4] != port.to_bytes(2, "big"):
            continue
        first, ack = struct.unpack("!II", data[at + 4:at + 12])
        fin = data[at + 13] & FIN
        size = int.from_bytes(data[2:4], "big") - at - (data[at + 12] >> 4) * 4
        seq = first + size + fin


def serve(s, here, peer, raw):
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
    sniffer.setblocking(False)
    what = s.recv(1)
    s.sendall(SAID)
    while s.recv(100):
        pass
    time.sleep(0.1)
    if what == b"t":
        s.close()
        time.sleep(0.1)
    subprocess.run(["nft", f"add rule ip late in tcp sport {peer[1]} drop"], check=True)
    seq, ack = numbers(sniffer, peer[1])
    for flags, where, payload in PACKETS[what]:
        raw.sendto(packet(here, peer, flags, seq + where & 0xffffffff, ack, payload), peer)
        time.sleep(0.01)
    if what != b"t":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
        s.close()


def main():
    listener = socket.create_server(("", int(sys.argv[1])))
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    subprocess.run(["nft", "add table ip late; add chain ip late in { type filter hook prerouting priority -300; }"], check=True)
    while True:
        s, peer = listener.accept()
        serve(s, s.getsockname(), peer, raw)


main()
