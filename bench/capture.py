# SPDX-License-Identifier: Apache-2.0
"""Big captures for the benchmarks, made the same way each time.

mixed(): the real captures of EGRET_DATA, each many times over at other times and with other addresses, merged in order
of time into one Ethernet pcap. What is left out: copies of the same file. What is changed: addresses (also in A answers
of DNS, so that the names still fit), checksums along with them, and times: no gap within a capture is longer than
MAX_GAP, no capture longer than SPAN.

concurrent(): N UDP flows that are all open at once.
"""
import array
import glob
import hashlib
import os
import re
import struct
import sys

MAX_GAP, SPAN = 60_000_000, 600_000_000         # microseconds
A_ANSWER = re.compile(rb"\x00\x01\x00\x01....\x00\x04(?=....)", re.S)
FROM = 1_700_000_000_000_000
HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)


def data_folder():
    here = os.path.dirname(os.path.realpath(__file__))
    path = os.environ.get("EGRET_DATA", os.path.join(os.path.dirname(os.path.dirname(here)), "shared", "data"))
    if not os.path.isdir(path):
        sys.exit(f"bench: no captures at {path}; EGRET_DATA names their folder")
    return path


def sources(folder):
    """Lists of (time in us, length on the wire, Ethernet frame), one per distinct capture."""
    from scapy.utils import RawPcapReader
    seen = set()
    for path in sorted(glob.glob(os.path.join(folder, "**", "*"), recursive=True)):
        if not path.endswith((".pcap", ".cap", ".pcapng", ".pcap.gz")):
            continue
        with open(path, "rb") as f:
            digest = hashlib.sha256(f.read()).digest()
        if digest in seen:
            continue
        seen.add(digest)
        packets = []
        for frame, meta in RawPcapReader(path):
            if hasattr(meta, "tshigh"):
                us = ((meta.tshigh << 32) | meta.tslow) * 1_000_000 // meta.tsresol
                link = meta.linktype
            else:
                us = meta.sec * 1_000_000 + meta.usec
                link = 1 if frame[12:14] in (b"\x08\0", b"\x86\xdd", b"\x81\0", b"\x08\6") else 0
            wire = meta.wirelen
            if link == 0 and frame[:4] in (b"\2\0\0\0", b"\x1e\0\0\0"):         # BSD loopback
                kind = b"\x08\0" if frame[0] == 2 else b"\x86\xdd"
                frame, wire = b"\2\0\0\0\0\1\2\0\0\0\0\2" + kind + frame[4:], wire + 10
            packets.append((us, wire, frame))
        if packets:
            yield squeezed(packets)


def squeezed(packets):
    """Times from 0, without long gaps, at most SPAN in all."""
    at, last, times = 0, packets[0][0], []
    for us, _, _ in packets:
        at += min(max(us - last, 0), MAX_GAP)
        last = us
        times.append(at)
    scale = min(1, SPAN / at) if at else 1
    return [(int(t * scale), wire, frame) for t, (_, wire, frame) in zip(times, packets)]


def changing_byte(addr):
    """Which byte of an address tells copies apart; None where the address means something by itself."""
    if len(addr) == 16:
        return None if addr[0] == 0xFF or addr == bytes(15) + b"\1" else 14 if addr[:2] == b"\xfe\x80" else 5
    if addr[0] == 0 or addr[0] >= 224:
        return None
    if addr[:2] == b"\xc0\xa8" or addr[0] == 172 and 16 <= addr[1] < 32 or addr[:2] == b"\xa9\xfe":
        return 2
    return 1


def places(frame):
    """The bytes of a frame to change, [(offset, in the IP header too)], and where its checksums are."""
    at, kind = 12, frame[12:14]
    while kind in (b"\x81\0", b"\x88\xa8"):
        at += 4
        kind = frame[at:at + 2]
    ip = at + 2
    if kind == b"\x08\0" and len(frame) >= ip + 20:
        l4, proto, addrs, size, ip_sum = ip + (frame[ip] & 15) * 4, frame[ip + 9], ip + 12, 4, ip + 10
        if (frame[ip + 6] & 0x1F) or frame[ip + 7]:
            proto = 0
    elif kind == b"\x86\xdd" and len(frame) >= ip + 40:
        l4, proto, addrs, size, ip_sum = ip + 40, frame[ip + 6], ip + 8, 16, None
    else:
        return [], None, None
    out = []
    for a in (addrs, addrs + size):
        byte = changing_byte(frame[a:a + size])
        if byte is not None:
            out.append((a + byte, True))
    l4_sum = {6: l4 + 16, 17: l4 + 6, 58: l4 + 2}.get(proto)
    if l4_sum and (l4_sum + 2 > len(frame) or proto == 17 and frame[l4_sum:l4_sum + 2] == b"\0\0"):
        l4_sum = None
    if proto == 17 and frame[l4:l4 + 2] == b"\0\x35":
        for m in A_ANSWER.finditer(frame, l4 + 8):
            byte = changing_byte(frame[m.end():m.end() + 4])
            if byte is not None:
                out.append((m.end() + byte, False))
    return out, ip_sum, l4_sum


def fix(frame, at, delta):
    """RFC 1624: the checksum at `at` after the bytes under it grew by `delta`."""
    s = (~(frame[at] << 8 | frame[at + 1]) & 0xFFFF) + delta
    s = ~(s % 0xFFFF or 0xFFFF) & 0xFFFF
    frame[at], frame[at + 1] = s >> 8, s & 0xFF


def rewritten(frame, where, copy):
    out, ip_sum, l4_sum = where
    frame = bytearray(frame)
    ip_delta = l4_delta = 0
    for at, in_header in out:
        new = (frame[at] + copy * 5) & 0xFF
        # all headers above are of even length from the Ethernet header on: the offset tells which half of a word
        d = (new - frame[at]) << (0 if at & 1 else 8)
        frame[at] = new
        l4_delta += d
        if in_header:
            ip_delta += d
    if ip_sum is not None:
        fix(frame, ip_sum, ip_delta)
    if l4_sum is not None:
        fix(frame, l4_sum, l4_delta)
    return frame


def mixed(path, copies=48):
    """Writes it; {packets, bytes, flows of the captures …} for the report."""
    files = list(sources(data_folder()))
    wheres = [[places(frame) for _, _, frame in packets] for packets in files]
    base = []
    for i, packets in enumerate(files):
        base += [(i, j) for j in range(len(packets))]
    if len(base) >= 1 << 20 or copies >= 1 << 12:
        raise ValueError("more packets or copies than the numbers below have room for")
    # one number per packet, sorted by time: time, copy, which of the base
    order = array.array("Q")
    for copy in range(copies):
        for n, (i, j) in enumerate(base):
            start = (i * 2_654_435_761 + copy * 40_503 * 65_537) % SPAN
            order.append((start + files[i][j][0]) << 32 | copy << 20 | n)
    with open(path, "wb", buffering=1 << 22) as f:
        f.write(HEADER)
        for key in sorted(order):
            i, j = base[key & 0xFFFFF]
            _, wire, frame = files[i][j]
            us = FROM + (key >> 32)
            frame = rewritten(frame, wheres[i][j], key >> 20 & 0xFFF)
            f.write(struct.pack("<IIII", us // 1_000_000, us % 1_000_000, len(frame), max(wire, len(frame))))
            f.write(frame)
    return {"packets": len(order), "bytes": os.path.getsize(path), "captures": len(files), "copies": copies}


def concurrent(path, flows, rounds=3):
    """`rounds` datagrams of each flow, one flow after the other, so that all are open from the first round on."""
    eth = b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0"
    us = FROM
    with open(path, "wb", buffering=1 << 22) as f:
        f.write(HEADER)
        for _ in range(rounds):
            for n in range(flows):
                ip = struct.pack(">BBHHHBBHII", 0x45, 0, 60, 0, 0, 64, 17, 0, 0x0A000001 + n // 25_000,
                                 0xC6120000 + n % 25_000)
                frame = eth + ip + struct.pack(">HHHH", 20_000 + n % 40_000, 4_000, 40, 0) + b"egret bench".ljust(32)
                f.write(struct.pack("<IIII", us // 1_000_000, us % 1_000_000, len(frame), len(frame)) + frame)
                us += 50
    return flows * rounds
