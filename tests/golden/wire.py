# SPDX-License-Identifier: Apache-2.0
"""Packets and capture files from bytes, for make.py: only what it needs, checksums included."""
import ipaddress
import struct

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def addr(text):
    return ipaddress.ip_address(text).packed


def ip(src, dst, proto, payload, ident=1, flags=0x4000):
    s, d = addr(src), addr(dst)
    if len(s) == 16:
        return struct.pack(">IHBB", 0x60000000, len(payload), proto, 64) + s + d + payload
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), ident, flags, 64, proto, 0) + s + d
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def with_checksum(src, dst, proto, segment, at):
    pseudo = addr(src) + addr(dst) + struct.pack(">II", len(segment), proto)
    value = checksum(pseudo + segment) or 0xFFFF
    return segment[:at] + struct.pack(">H", value) + segment[at + 2:]


def udp(src, dst, sport, dport, data):
    segment = struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data
    return ip(src, dst, 17, with_checksum(src, dst, 17, segment, 6))


def tcp_segment(src, dst, sport, dport, seq, ack, flags, data):
    segment = struct.pack(">HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF if flags & ACK else 0,
                          0x50, flags, 64240, 0, 0) + data
    return ip(src, dst, 6, with_checksum(src, dst, 6, segment, 16))


def icmp_echo(src, dst, kind, ident, seq, data):
    message = struct.pack(">BBHHH", kind, 0, 0, ident, seq) + data
    if len(addr(src)) == 16:
        return ip(src, dst, 58, with_checksum(src, dst, 58, message, 2))
    return ip(src, dst, 1, message[:2] + struct.pack(">H", checksum(message)) + message[4:])


def sctp_data(src, dst, sport, dport):
    chunk = struct.pack(">BBHIHHI", 0, 3, 20, 1, 0, 0, 46) + b"data"
    return ip(src, dst, 132, struct.pack(">HHII", sport, dport, 1, 0) + chunk)


def ip4_fragments(packet, size, ident):
    """An IPv4 packet in pieces of `size` bytes of payload."""
    payload, out = packet[20:], []
    for at in range(0, len(payload), size):
        more = 0x2000 if at + size < len(payload) else 0
        src, dst = (".".join(map(str, packet[i:i + 4])) for i in (12, 16))
        out.append(ip(src, dst, packet[9], payload[at:at + size], ident, more | at // 8))
    return out


def ip6_fragments(packet, size, ident):
    payload, out = packet[40:], []
    src, dst = (str(ipaddress.ip_address(packet[i:i + 16])) for i in (8, 24))
    for at in range(0, len(payload), size):
        more = 1 if at + size < len(payload) else 0
        out.append(ip(src, dst, 44, struct.pack(">BBHI", packet[6], 0, at | more, ident) + payload[at:at + size]))
    return out


# --- what may stand around an IP packet -----------------------------------------------------------------------------

MACS = b"\x02\0\0\0\0\1\x02\0\0\0\0\2"


def ethertype(p):
    return b"\x08\0" if p[0] >> 4 == 4 else b"\x86\xdd"


def ether(p):
    return MACS + ethertype(p) + p


def vlan(p):
    return MACS + b"\x81\0\0\x2a" + ethertype(p) + p


def qinq(p):
    return MACS + b"\x88\xa8\0\x64\x81\0\0\x2a" + ethertype(p) + p


def pppoe(p):
    ppp = (b"\0\x21" if p[0] >> 4 == 4 else b"\0\x57") + p
    return MACS + b"\x88\x64\x11\0\0\x01" + struct.pack(">H", len(ppp)) + ppp


def mpls(p):
    return MACS + b"\x88\x47\0\x01\x00\x40\0\x02\x01\x40" + p


def gre(p):
    return ip("192.0.2.1", "192.0.2.2", 47, b"\x20\0" + ethertype(p) + b"\0\0\0\x07" + p)


def vxlan(p):
    return udp("192.0.2.1", "192.0.2.2", 55555, 4789, b"\x08\0\0\0\0\0\x2a\0" + ether(p))


def raw(p):
    return p


def null(p):
    return struct.pack("<I", 2 if p[0] >> 4 == 4 else 24) + p


def loop(p):
    return struct.pack(">I", 2 if p[0] >> 4 == 4 else 24) + p


def sll(p):
    return b"\0\0\0\x01\0\x06\x02\0\0\0\0\x01\0\0" + ethertype(p) + p


def sll2(p):
    return ethertype(p) + b"\0\0\0\0\0\x02\0\x01\0\x06\x02\0\0\0\0\x01\0\0" + p


# --- conversations and files ----------------------------------------------------------------------------------------

class Capture:
    """IP packets a millisecond apart, each wrapped for its link type."""

    def __init__(self, link, wrap):
        self.link, self.wrap, self.packets, self.now = link, wrap, [], 1_700_000_000_000_000

    def add(self, packet):
        self.packets.append((self.now, packet))
        self.now += 1000

    def wait(self, seconds):
        self.now += seconds * 1_000_000

    def pcap(self, order="<", nano=False, snaplen=65535):
        out = struct.pack(order + "IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, snaplen, self.link)
        for t, p in self.packets:
            frame = self.wrap(p)
            out += struct.pack(order + "IIII", t // 1_000_000, t % 1_000_000 * (1000 if nano else 1),
                               min(len(frame), snaplen), len(frame)) + frame[:snaplen]
        return out

    def write(self, path, **how):
        with open(path, "wb") as f:
            f.write(self.pcap(**how))


def ngcapture(path, capture, order="<", resolution=6, second=None):
    """As pcapng; with `second` every other packet goes to a second interface of raw IP."""
    def block(kind, body):
        body += b"\0" * (-len(body) % 4)
        return struct.pack(order + "II", kind, 12 + len(body)) + body + struct.pack(order + "I", 12 + len(body))

    def interface(link):
        options = struct.pack(order + "HHB3x", 9, 1, resolution) + struct.pack(order + "HH", 0, 0)
        return block(1, struct.pack(order + "HHI", link, 0, 0) + options)

    out = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1)) + interface(capture.link)
    if second:
        out += interface(101)
    for n, (t, p) in enumerate(capture.packets):
        iface = n % 2 if second else 0
        frame = second(p) if iface else capture.wrap(p)
        stamp = t * 10 ** (resolution - 6)
        out += block(6, struct.pack(order + "IIIII", iface, stamp >> 32, stamp & 0xFFFFFFFF, len(frame), len(frame)) +
                     frame)
    with open(path, "wb") as f:
        f.write(out)


class Tcp:
    """A TCP conversation with right sequence numbers; side 0 is the one that opens."""

    def __init__(self, capture, a, b, sport, dport, isn=(1000, 5000)):
        self.capture, self.ends, self.ports, self.seq = capture, (a, b), (sport, dport), list(isn)

    def raw(self, side, flags, data=b"", seq=None):
        at = self.seq[side] if seq is None else seq
        self.capture.add(tcp_segment(self.ends[side], self.ends[1 - side], self.ports[side], self.ports[1 - side],
                                     at, self.seq[1 - side], flags, data))
        if seq is None:
            self.seq[side] += len(data) + bool(flags & (SYN | FIN))

    def open(self):
        self.raw(0, SYN)
        self.raw(1, SYN | ACK)
        self.raw(0, ACK)

    def data(self, side, data):
        self.raw(side, ACK | PSH, data)
        self.raw(1 - side, ACK)

    def send(self, data):
        self.data(0, data)

    def answer(self, data):
        self.data(1, data)

    def close(self, first=0):
        self.raw(first, FIN | ACK)
        self.raw(1 - first, FIN | ACK)
        self.raw(first, ACK)
