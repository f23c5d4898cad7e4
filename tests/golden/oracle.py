# SPDX-License-Identifier: Apache-2.0
"""Counts packets and bytes of a capture in the plainest way, as the yardstick for egret's counts.

Shares no code and no idea with src/: whole captures in memory, dictionaries, no time-outs, no limits.
"""
import collections
import gzip
import ipaddress
import struct

SYN = 2


class Flow:
    """One 5-tuple, both ways; side 0 sent the first packet."""

    def __init__(self, src):
        self.src = src                      # (address, port) of side 0
        self.packets = [0, 0]
        self.bytes = [0, 0]                 # IP packets
        self.payload = [0, 0]               # TCP/UDP payload as on the wire
        self.segments = ([], [])            # TCP: (relative sequence number, length)
        self.base = [None, None]
        self.flags = []                     # TCP: (side, flags, payload) of the last packets

    def unique_payload(self, side):
        """TCP payload of one side with what was sent again counted once."""
        total, end = 0, None
        for start, n in sorted(self.segments[side]):
            if end is None or start > end:
                total, end = total + n, start + n
            elif start + n > end:
                total, end = total + start + n - end, start + n
        return total


def frames(path):
    """(link type, captured bytes, length on the wire, time in s) of each frame of a pcap or pcapng file."""
    with open(path, "rb") as f:
        raw = f.read()
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    if raw[:4] == b"\x0a\x0d\x0d\x0a":
        yield from frames_pcapng(raw)
        return
    magic = raw[:4]
    order = "<" if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    unit = 1e-9 if magic in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d") else 1e-6
    link = struct.unpack_from(order + "I", raw, 20)[0] & 0xFFFF
    at = 24
    while at + 16 <= len(raw):
        sec, frac, n, wire = struct.unpack_from(order + "IIII", raw, at)
        yield link, raw[at + 16:at + 16 + n], wire, sec + frac * unit
        at += 16 + n


def frames_pcapng(raw):
    at, order, links, units = 0, "<", [], []
    while at + 12 <= len(raw):
        if raw[at:at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if raw[at + 8:at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            links, units = [], []
        kind, length = struct.unpack_from(order + "II", raw, at)
        body = raw[at + 8:at + length - 4]
        if kind == 1:
            links.append(struct.unpack_from(order + "H", body)[0])
            unit, opt = 1e-6, 8
            while opt + 4 <= len(body):
                code, n = struct.unpack_from(order + "HH", body, opt)
                if code == 9:
                    v = body[opt + 4]
                    unit = 2.0 ** -(v & 127) if v & 128 else 10.0 ** -v
                opt += 4 + (n + 3 & ~3)
                if not code:
                    break
            units.append(unit)
        elif kind == 6:
            iface, hi, lo, n, wire = struct.unpack_from(order + "IIIII", body)
            yield links[iface], body[20:20 + n], wire, ((hi << 32) + lo) * units[iface]
        elif kind == 3:
            wire = struct.unpack_from(order + "I", body)[0]
            yield links[0], body[4:4 + wire], wire, 0.0
        at += length


def ip_of(link, p):
    """The IP packet inside a frame, or None."""
    if link == 1:
        at, kind = 14, struct.unpack_from(">H", p, 12)[0] if len(p) >= 14 else 0
    elif link == 113:
        at, kind = 16, struct.unpack_from(">H", p, 14)[0] if len(p) >= 16 else 0
    elif link == 276:
        at, kind = 20, struct.unpack_from(">H", p, 0)[0] if len(p) >= 20 else 0
    elif link in (0, 108):
        at, kind = 4, {4: 0x0800, 6: 0x86DD}.get(p[4] >> 4 if len(p) > 4 else 0, 0)
    elif link in (12, 14, 101, 228, 229):
        at, kind = 0, {4: 0x0800, 6: 0x86DD}.get(p[0] >> 4 if p else 0, 0)
    else:
        return None
    while True:
        if kind in (0x8100, 0x88A8, 0x9100) and len(p) >= at + 4:
            kind, at = struct.unpack_from(">H", p, at + 2)[0], at + 4
        elif kind == 0x8864 and len(p) >= at + 8:
            kind = {0x0021: 0x0800, 0x0057: 0x86DD}.get(struct.unpack_from(">H", p, at + 6)[0], 0)
            at += 8
        elif kind == 0x8847 and len(p) >= at + 4:
            bottom = p[at + 2] & 1
            at += 4
            if bottom:
                kind = {4: 0x0800, 6: 0x86DD}.get(p[at] >> 4 if len(p) > at else 0, 0)
        else:
            break
    return p[at:] if kind in (0x0800, 0x86DD) else None


def layers(p):
    """(src, dst, protocol, IP length, transport bytes, fragment) of the innermost IP packet; None when cut too short.

    fragment: None, or (identification, offset in bytes).
    """
    fragment = None
    if len(p) >= 20 and p[0] >> 4 == 4:
        header = (p[0] & 15) * 4
        total, ident, off = struct.unpack_from(">HHH", p, 2)
        src, dst, proto = ipaddress.ip_address(p[12:16]), ipaddress.ip_address(p[16:20]), p[9]
        if off & 0x3FFF:
            fragment = (ident, (off & 0x1FFF) * 8)
    elif len(p) >= 40 and p[0] >> 4 == 6:
        header, total, proto = 40, 40 + struct.unpack_from(">H", p, 4)[0], p[6]
        src, dst = ipaddress.ip_address(p[8:24]), ipaddress.ip_address(p[24:40])
        while proto in (0, 43, 60, 44, 51) and len(p) >= header + 8:
            if proto == 44:
                off, ident = struct.unpack_from(">HI", p, header + 2)
                if off & 0xFFF9:
                    fragment = (ident, off & 0xFFF8)
            size = 8 if proto == 44 else (p[header + 1] + 2) * 4 if proto == 51 else (p[header + 1] + 1) * 8
            proto, header = p[header], header + size
            if fragment and fragment[1]:
                break
    else:
        return None
    if total == 0:
        total = len(p)                      # segmentation offload: the card fills it in
    body = p[header:total]
    if not fragment:
        inner = inner_ip(proto, body)
        if inner is not None:
            deeper = layers(inner)
            if deeper:
                return deeper
    return str(src), str(dst), proto, total, total - header, body, fragment


def inner_ip(proto, body):
    if proto in (4, 41):
        return body
    if proto == 47 and len(body) >= 4:
        flags, kind = struct.unpack_from(">HH", body)
        if flags & 7:
            return None
        at = 4 + 4 * bool(flags & 0xC000) + 4 * bool(flags & 0x2000) + 4 * bool(flags & 0x1000)
        if kind in (0x0800, 0x86DD):
            return body[at:]
        if kind == 0x6558:
            return ip_of(1, body[at:])
    if proto == 17 and len(body) >= 16 and struct.unpack_from(">H", body, 2)[0] == 4789 and body[8] & 8:
        return ip_of(1, body[16:])
    return None


def count(path):
    """{(proto, frozenset of the two ends): Flow}; ends are (address, port), ports 0 where there are none."""
    flows, fragments, n = collections.OrderedDict(), {}, 0
    for link, frame, _wire, _t in frames(path):
        n += 1
        ip = ip_of(link, frame)
        packet = ip is not None and layers(ip)
        if not packet:
            continue
        src, dst, proto, total, rest, body, fragment = packet
        sport = dport = 0
        if fragment and fragment[1]:
            sport, dport = fragments.get((src, dst, proto, fragment[0]), (0, 0))
        elif proto in (6, 17, 132) and len(body) >= 4:
            sport, dport = struct.unpack_from(">HH", body)
            if fragment:
                fragments[src, dst, proto, fragment[0]] = sport, dport
        a, b = (src, sport), (dst, dport)
        key = proto, frozenset((a, b))
        flow = flows.get(key)
        if flow is None:
            flow = flows[key] = Flow(a)
        side = 0 if a == flow.src else 1
        flow.packets[side] += 1
        flow.bytes[side] += total
        if proto == 17 and not (fragment and fragment[1]):
            flow.payload[side] += rest - 8
        elif proto == 17:
            flow.payload[side] += rest
        elif proto == 6 and len(body) >= 14:
            header = (body[12] >> 4) * 4
            size = rest - header
            flow.payload[side] += size
            flow.flags = flow.flags[-11:] + [f"{'<>'[side == 0]}{body[13]:02x}+{size}"]
            seq = struct.unpack_from(">I", body, 4)[0] + bool(body[13] & SYN)
            if flow.base[side] is None:
                flow.base[side] = seq
            if size:
                rel = (seq - flow.base[side] + (1 << 31)) % (1 << 32) - (1 << 31)
                flow.segments[side].append((rel, size))
    return flows, n
