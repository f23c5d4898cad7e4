#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the captures of tests/golden/captures: small, made by hand, the same bytes on every run.

own.py reads them and compares with expected/; `own.py --update` after a change that is meant.
"""
import gzip
import os
import struct
import sys

import hello
from wire import (ACK, FIN, PSH, RST, SYN, Capture, Tcp, ether, gre, icmp_echo, ip, ip4_fragments, ip6_fragments, loop,
                  mpls, ngcapture, null, pppoe, qinq, raw, sctp_data, sll, sll2, udp, vlan, vxlan)

HERE = os.path.join(os.path.dirname(os.path.realpath(__file__)), "captures")
A, B, R = "10.1.0.5", "198.51.100.7", "10.1.0.1"
A6, B6 = "fd00:1::5", "2001:db8::7"


def label(name):
    return b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")) + b"\0"


def query(ident, name, qtype=1):
    return struct.pack(">HHHHHH", ident, 0x0100, 1, 0, 0, 0) + label(name) + struct.pack(">HH", qtype, 1)


def answer(ident, name, rrs, rcode=0, qtype=1):
    """rrs: (owner, type, ttl, rdata)."""
    out = struct.pack(">HHHHHH", ident, 0x8180 | rcode, 1, len(rrs), 0, 0) + label(name) + struct.pack(">HH", qtype, 1)
    for owner, rtype, ttl, rdata in rrs:
        out += label(owner) + struct.pack(">HHIH", rtype, 1, ttl, len(rdata)) + rdata
    return out


def v4(text):
    return bytes(int(x) for x in text.split("."))


def dns_exchange(c, name, address, a=A, b=R, sport=5353 + 1000, ident=7):
    c.add(udp(a, b, sport, 53, query(ident, name)))
    c.add(udp(b, a, 53, sport, answer(ident, name, [
        (name, 5, 300, label("edge." + name)), ("edge." + name, 1, 60, v4(address))])))


def conversation(c, a=A, b=B, sport=40000):
    """A DNS answer with a CNAME, then the HTTP request to the address it gave."""
    dns_exchange(c, "www.example.org", B)
    t = Tcp(c, a, b, sport, 80)
    t.open()
    t.send(b"GET /index.html HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: made/1\r\n\r\n")
    t.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello")
    t.close()


def encapsulations():
    for name, link, wrap in (
            ("ethernet", 1, ether), ("vlan", 1, vlan), ("qinq", 1, qinq), ("pppoe", 1, pppoe), ("mpls", 1, mpls),
            ("gre", 1, lambda p: ether(gre(p))), ("vxlan", 1, lambda p: ether(vxlan(p))),
            ("ipip", 1, lambda p: ether(ip("192.0.2.1", "192.0.2.2", 4 if p[0] >> 4 == 4 else 41, p))),
            ("sixtofour", 1, lambda p: ether(ip("2001:db8:1::1", "2001:db8:1::2", 4 if p[0] >> 4 == 4 else 41, p))),
            ("raw", 101, raw), ("null", 0, null), ("loop", 108, loop), ("sll", 113, sll), ("sll2", 276, sll2)):
        c = Capture(link, wrap)
        conversation(c)
        c.write(os.path.join(HERE, f"encap-{name}.pcap"))


def containers():
    """The same conversation in every file format around it."""
    c = Capture(1, ether)
    conversation(c)
    c.write(os.path.join(HERE, "form-bigendian.pcap"), order=">")
    c.write(os.path.join(HERE, "form-nanoseconds.pcap"), nano=True)
    with open(os.path.join(HERE, "form-gzip.pcap.gz"), "wb") as f:
        f.write(gzip.compress(c.pcap(), mtime=0))
    ngcapture(os.path.join(HERE, "form-ng.pcapng"), c)
    ngcapture(os.path.join(HERE, "form-ng-bigendian.pcapng"), c, order=">")
    ngcapture(os.path.join(HERE, "form-ng-nanoseconds.pcapng"), c, resolution=9)
    ngcapture(os.path.join(HERE, "form-ng-two-links.pcapng"), c, second=raw)


def fragments():
    big = answer(9, "big.example.org", [("big.example.org", 16, 60, b"\xff" + b"x" * 255)] * 8, qtype=16)
    c = Capture(1, ether)
    c.add(udp(A, R, 6000, 53, query(9, "big.example.org", 16)))
    for p in ip4_fragments(udp(R, A, 53, 6000, big), 600, 77):
        c.add(p)
    c.add(udp(A, R, 6001, 53, query(9, "big.example.org", 16)))
    for p in reversed(ip4_fragments(udp(R, A, 53, 6001, big), 600, 78)):
        c.add(p)
    c.add(udp(A6, B6, 6002, 53, query(9, "big.example.org", 16)))
    for p in ip6_fragments(udp(B6, A6, 53, 6002, big), 600, 79):
        c.add(p)
    c.write(os.path.join(HERE, "fragments.pcap"))
    c = Capture(1, ether)               # the second of four never comes
    c.add(udp(A, R, 6000, 53, query(9, "big.example.org", 16)))
    parts = ip4_fragments(udp(R, A, 53, 6000, big), 600, 80)
    for p in parts[:1] + parts[2:]:
        c.add(p)
    c.write(os.path.join(HERE, "fragments-lost.pcap"))


def hellos():
    """A ClientHello larger than one segment, cut and delivered in unfriendly ways; each to an address of its own."""
    big = hello.client_hello("split.example.org", alpns=("h2", "http/1.1"), pad=1700)
    ways = {
        "two": [(0, 1400), (1400, len(big))],
        "three-out-of-order": [(0, 1000), (1700, len(big)), (1000, 1700)],
        "second-half-first": [(1400, len(big)), (0, 1400)],
        "first-byte-alone": [(0, 1), (1, 1400), (1400, len(big))],
        "sent-twice": [(0, 1400), (0, 1400), (1400, len(big))],
        "overlap": [(0, 1400), (1000, 1900), (1700, len(big))],
    }
    c = Capture(1, ether)
    for n, (_, parts) in enumerate(ways.items()):
        t = Tcp(c, A, f"198.51.100.{20 + n}", 41000 + n, 443)
        t.open()
        start = t.seq[0]
        for lo, hi in parts:
            t.raw(0, ACK, big[lo:hi], seq=start + lo)
        t.seq[0] = start + len(big)
        t.raw(1, ACK)
        t.close()
    t = Tcp(c, A, "198.51.100.40", 41040, 443)      # never complete: the middle is missing
    t.open()
    t.raw(0, ACK, big[:1000])
    t.raw(0, ACK, big[1700:], seq=t.seq[0] + 700)
    t.seq[0] += len(big) - 1000
    t.close()
    two = hello.records(hello.handshake("records.example.org"), 100)   # one handshake message in many TLS records
    t = Tcp(c, A, "198.51.100.41", 41041, 443)
    t.open()
    t.send(two)
    t.close()
    c.write(os.path.join(HERE, "split-hellos.pcap"))


def http():
    c = Capture(1, ether)
    t = Tcp(c, A, B, 42000, 8081)                   # keep-alive: three requests, the last ones in one segment
    t.open()
    t.send(b"GET /1 HTTP/1.1\r\nHost: one.example.org\r\n\r\n")
    t.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    t.send(b"POST /2 HTTP/1.1\r\nHost: one.example.org\r\nContent-Length: 3\r\n\r\nabc"
           b"GET /3 HTTP/1.1\r\nHost: one.example.org\r\n\r\n")
    t.answer(b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    t.close()
    t = Tcp(c, A, B, 42001, 80)                     # a head in three pieces
    t.open()
    for piece in (b"GET /split HT", b"TP/1.1\r\nHo", b"st: two.example.org\r\n\r\n"):
        t.send(piece)
    t.answer(b"HTTP/1.1 301 Moved Permanently\r\nLocation: https://two.example.org/\r\nContent-Length: 0\r\n\r\n")
    t.close()
    t = Tcp(c, A, B, 42002, 3128)                   # through a proxy: CONNECT, then TLS
    t.open()
    t.send(b"CONNECT three.example.org:443 HTTP/1.1\r\nHost: three.example.org:443\r\n\r\n")
    t.answer(b"HTTP/1.1 200 Connection established\r\n\r\n")
    t.send(hello.client_hello("three.example.org"))
    t.close()
    t = Tcp(c, A6, B6, 42003, 8000)                 # IPv6, no Host
    t.open()
    t.send(b"GET / HTTP/1.0\r\n\r\n")
    t.answer(b"HTTP/1.0 200 OK\r\n\r\nall")
    t.close(first=1)
    t = Tcp(c, A, B, 42004, 80)                     # HTTP/2 with prior knowledge
    t.open()
    t.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
    t.answer(b"\0\0\0\4\0\0\0\0\0")
    t.close()
    c.write(os.path.join(HERE, "http.pcap"))


def starttls():
    c = Capture(1, ether)
    talks = (
        (25, [(1, b"220 mx.example.org ESMTP\r\n"), (0, b"EHLO client.example.net\r\n"),
              (1, b"250-mx.example.org\r\n250 STARTTLS\r\n"), (0, b"STARTTLS\r\n"), (1, b"220 go ahead\r\n")]),
        (143, [(1, b"* OK IMAP4rev1 ready\r\n"), (0, b"a1 STARTTLS\r\n"), (1, b"a1 OK begin TLS\r\n")]),
        (110, [(1, b"+OK POP3 ready\r\n"), (0, b"STLS\r\n"), (1, b"+OK begin TLS\r\n")]),
        (21, [(1, b"220 FTP server ready\r\n"), (0, b"AUTH TLS\r\n"), (1, b"234 AUTH TLS successful\r\n")]),
    )
    for n, (port, talk) in enumerate(talks):
        t = Tcp(c, A, B, 43000 + n, port)
        t.open()
        for side, text in talk:
            t.data(side, text)
        t.send(hello.client_hello(f"mail{n}.example.org"))
        t.close()
    t = Tcp(c, A, B, 43010, 25)                     # in the clear: the envelope
    t.open()
    for side, text in ((1, b"220 mx.example.org ESMTP\r\n"), (0, b"HELO client.example.net\r\n"), (1, b"250 hi\r\n"),
                       (0, b"MAIL FROM:<a@example.net>\r\n"), (1, b"250 ok\r\n"),
                       (0, b"RCPT TO:<b@example.org>\r\n"), (1, b"250 ok\r\n"),
                       (0, b"RCPT TO:<c@example.org>\r\n"), (1, b"250 ok\r\n"), (0, b"DATA\r\n"), (1, b"354 go\r\n"),
                       (0, b"Subject: x\r\n\r\nMAIL FROM:<nobody@example.net>\r\n.\r\n"), (1, b"250 queued\r\n"),
                       (0, b"QUIT\r\n"), (1, b"221 bye\r\n")):
        t.data(side, text)
    t.close()
    c.write(os.path.join(HERE, "starttls.pcap"))


def servers():
    """What TLS servers answer: certificates of several kinds, TLS 1.3, a second try, a resumed session, STARTTLS."""
    c = Capture(1, ether)
    web, ca = [(6, "DE"), (10, "Example, Inc."), (3, "www.example.org")], [(10, "Example CA")]
    own = [(3, "Wkqxzvbjqw")]
    leaf = hello.certificate(web, ca, ["www.example.org", "*.example.net"], "240101000000Z", "250101000000Z")
    rogue = hello.certificate(own, own, [], "200512184520Z", "99991231235959Z")
    many = hello.certificate(web, ca, [f"n{i}.example.org" for i in range(200)], "240101000000Z", "20500101000000Z")
    old = hello.server_hello(0x0303, 0xC02F, hello.extension(65281, b"\0") + hello.extension(16, b"\0\3\2h2"))
    new = hello.server_hello(0x0303, 0x1301, hello.extension(43, b"\3\4") + hello.extension(51, b"\0\x1d\0\x04key!"))
    again = hello.server_hello(0x0303, 0x1301, hello.extension(43, b"\3\4") + hello.extension(51, b"\0\x17"), True)
    done, secret = b"\x0e\0\0\0", b"\x14\3\3\0\1\1\x17\3\3\0\x20" + bytes(32)
    talks = (
        ("www.example.org", hello.records(old + leaf + done, 16384)),                   # all in one record
        ("w.example.net", hello.records(old, 99) + hello.records(leaf, 400)),           # records of 99 and of 400
        ("other.example.com", hello.records(old, 99) + hello.records(leaf, 16384)),     # does not cover the name
        ("", hello.records(old + rogue + done, 16384)),                                 # no name, made by himself
        ("n199.example.org", hello.records(old + many + done, 16384)),                  # a large one
        ("new.example.org", hello.records(new, 16384) + secret),
        ("again.example.org", hello.records(again, 99) + secret[:6] + hello.records(new, 99) + secret[6:]),
        ("resumed.example.org", hello.records(old, 99) + secret),
        ("refused.example.org", b"\x15\3\3\0\2\2\x28"),
    )
    for n, (name, answered) in enumerate(talks):
        t = Tcp(c, A, B, 45000 + n, 443)
        t.open()
        t.send(hello.client_hello(name, ("h2",)))
        for at in range(0, len(answered), 1400):
            t.answer(answered[at:at + 1400])
        t.close()
    t = Tcp(c, A, B, 45100, 25)
    t.open()
    for side, text in ((1, b"220 mx\r\n"), (0, b"EHLO me\r\nSTARTTLS\r\n"), (1, b"250 STARTTLS\r\n220 go ahead\r\n")):
        t.data(side, text)
    t.send(hello.client_hello("www.example.org"))
    t.answer(hello.records(old + leaf, 16384))
    t.close()
    c.write(os.path.join(HERE, "tls-servers.pcap"))


def dns():
    def framed(m):
        return struct.pack(">H", len(m)) + m

    c = Capture(1, ether)
    t = Tcp(c, A, R, 44000, 53)                     # over TCP: two questions in one segment, answers cut anywhere
    t.open()
    t.send(framed(query(1, "tcp1.example.org")) + framed(query(2, "tcp2.example.org", 28)))
    both = (framed(answer(1, "tcp1.example.org", [("tcp1.example.org", 1, 60, v4("203.0.113.1"))])) +
            framed(answer(2, "tcp2.example.org", [], rcode=3, qtype=28)))
    for at in range(0, len(both), 37):
        t.answer(both[at:at + 37])
    t.close()
    t = Tcp(c, A, "203.0.113.1", 44001, 9999)       # to the address that answer named
    t.open()
    t.send(b"\1\2\3\4")
    t.close()
    names = (("a.example.org", "203.0.113.9"), ("b.example.org", "203.0.113.9"))
    for n, (name, address) in enumerate(names):     # several names, one address
        dns_exchange(c, name, address, sport=44010 + n, ident=30 + n)
    t = Tcp(c, A, "203.0.113.9", 44020, 9999)
    t.open()
    t.close()
    c.add(udp(A, R, 44030, 53, query(40, "Miss.Example.ORG")))
    c.add(udp(R, A, 53, 44030, answer(40, "Miss.Example.ORG", [], rcode=3)))
    c.write(os.path.join(HERE, "dns.pcap"))


def tcp():
    c = Capture(1, ether)
    t = Tcp(c, A, B, 45000, 9000)                   # sent again, kept alive
    t.open()
    t.send(b"x" * 400)
    t.raw(0, ACK | PSH, b"x" * 400, seq=t.seq[0] - 400)
    t.raw(0, ACK, b"x", seq=t.seq[0] - 1)
    t.raw(1, ACK)
    t.answer(b"y" * 500)
    t.close()
    t = Tcp(c, A, B, 45001, 9000)                   # refused
    t.raw(0, SYN)
    t.raw(1, RST | ACK)
    t = Tcp(c, A, B, 45002, 9000)                   # reset in the middle
    t.open()
    t.send(b"z" * 10)
    t.raw(1, RST)
    t = Tcp(c, A, B, 45003, 9000)                   # no answer at all
    for _ in range(3):
        t.raw(0, SYN, seq=5000)
    t = Tcp(c, A, B, 45004, 9000)                   # was open before the capture began; the server speaks first
    t.raw(1, ACK | PSH, b"server first")
    t.raw(0, ACK | PSH, b"client")
    t = Tcp(c, A, B, 45005, 9000)                   # the same ports again: two flows
    t.open()
    t.send(b"first")
    t.close()
    c.wait(3)
    t = Tcp(c, A, B, 45005, 9000, isn=(900000, 800000))
    t.open()
    t.send(b"second one")
    t.close(first=1)
    t = Tcp(c, B, A, 45006, 22)                     # from outside
    t.open()
    t.answer(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
    t.send(b"SSH-2.0-libssh_0.10\r\n")
    t.close()
    t = Tcp(c, A, B, 45007, 9000, isn=(0xFFFFFF00, 0xFFFFFFF0))     # sequence numbers pass zero
    t.open()
    for _ in range(4):
        t.send(b"w" * 160)
        t.answer(b"v" * 160)
    t.close()
    c.write(os.path.join(HERE, "tcp.pcap"))
    c.write(os.path.join(HERE, "tcp-snaplen60.pcap"), snaplen=60)


def others():
    """One flow an IP protocol and one an application protocol, on ports that say nothing."""
    c = Capture(1, ether)
    for n in range(3):
        c.add(icmp_echo(A, B, 8, 0x1234, n, b"abcdefgh" * 7))
        c.add(icmp_echo(B, A, 0, 0x1234, n, b"abcdefgh" * 7))
        c.add(icmp_echo(A6, B6, 128, 0x4321, n, b"abcdefgh"))
        c.add(icmp_echo(B6, A6, 129, 0x4321, n, b"abcdefgh"))
    c.add(sctp_data(A, B, 46000, 3868))
    c.add(ip(A, B, 47, b"\0\0\x88\xbe" + b"\0" * 8))            # GRE with something not ours inside
    c.add(ip(A, "224.0.0.1", 2, b"\x11\0\xee\xff\0\0\0\0"))     # IGMP
    for n in range(20):                                         # one socket, many peers
        c.add(udp(A, f"203.0.113.{100 + n}", 46001, 7000, b"?"))
    c.write(os.path.join(HERE, "others.pcap"))


def protocols():
    c = Capture(1, ether)
    first = hello.first_bytes()
    for n, (name, proto, client, server) in enumerate(first):
        port = 50000 + n
        if proto == "udp":
            c.add(udp(A, B, 30000 + n, port, client))
            if server:
                c.add(udp(B, A, port, 30000 + n, server))
            continue
        t = Tcp(c, A, B, 30000 + n, port)
        t.open()
        order = ((1, server), (0, client)) if name in ("ssh", "smtp", "imap", "pop3", "ftp", "mysql", "vnc") else (
            (0, client), (1, server))
        for side, data in order:
            if data:
                t.data(side, data)
        t.close()
    c.write(os.path.join(HERE, "protocols.pcap"))


def main():
    os.makedirs(HERE, exist_ok=True)
    for make in (encapsulations, containers, fragments, hellos, http, starttls, servers, dns, tcp, others, protocols):
        make()
    size = sum(os.path.getsize(os.path.join(HERE, n)) for n in os.listdir(HERE))
    print(f"{len(os.listdir(HERE))} captures, {size} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
