# SPDX-License-Identifier: Apache-2.0
"""First bytes of protocols for make.py: TLS hellos of any size, certificates, and one small beginning a protocol."""
import struct


def extension(kind, body):
    return struct.pack(">HH", kind, len(body)) + body


def handshake(name, alpns=(), pad=0):
    """A ClientHello handshake message (RFC 8446 4.1.2) with TLS 1.3 and 1.2 offered."""
    ciphers = struct.pack(">5H", 0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F)
    out = b""
    if name:
        host = name.encode()
        out += extension(0, struct.pack(">HBH", len(host) + 3, 0, len(host)) + host)
    out += extension(10, struct.pack(">HHH", 4, 0x001D, 0x0017))
    out += extension(11, b"\1\0")
    out += extension(13, struct.pack(">HHHH", 6, 0x0403, 0x0804, 0x0401))
    if alpns:
        listed = b"".join(bytes([len(a)]) + a.encode() for a in alpns)
        out += extension(16, struct.pack(">H", len(listed)) + listed)
    out += extension(43, b"\4\3\4\3\3")
    out += extension(51, struct.pack(">HHH", 36, 0x001D, 32) + bytes(range(32)))
    if pad:
        out += extension(21, b"\0" * pad)
    body = (b"\3\3" + bytes(range(32, 64)) + b"\x20" + bytes(range(32)) + struct.pack(">H", len(ciphers)) + ciphers +
            b"\1\0" + struct.pack(">H", len(out)) + out)
    return b"\1" + struct.pack(">I", len(body))[1:] + body


def records(message, size):
    """A handshake message in TLS records of at most `size` bytes."""
    return b"".join(b"\x16\3\1" + struct.pack(">H", len(message[i:i + size])) + message[i:i + size]
                    for i in range(0, len(message), size))


def client_hello(name, alpns=(), pad=0):
    return records(handshake(name, alpns, pad), 16384)


def first_bytes():
    """(name in records, transport, first bytes of the client, of the server)."""
    dtls = b"\x16\xfe\xfd" + b"\0" * 8 + struct.pack(">H", 60) + b"\1\0\0\x30\0\0\0\0\0\0\0\x30\xfe\xfd" + bytes(46)
    smb = b"\0\0\0\x44\xfeSMB\x40\0" + b"\0" * 60
    bittorrent = b"\x13BitTorrent protocol" + b"\0" * 8 + b"h" * 20 + b"-EG0001-abcdefghijkl"
    mqtt = b"\x10\x12\0\4MQTT\4\2\0\x3c\0\6client"
    wireguard = b"\1\0\0\0" + bytes(range(144))
    openvpn = b"\x38" + bytes(range(8)) + b"\0" + b"\0\0\0\0"
    ntp = b"\x23\0\6\xec" + b"\0" * 36 + bytes(range(8))
    stun = b"\0\1\0\0\x21\x12\xa4\x42" + bytes(range(12))
    rdp = b"\3\0\0\x13\x0e\xe0\0\0\0\0\0\1\0\x08\0\3\0\0\0"
    pgsql = b"\0\0\0\x08\4\xd2\x16\x2f"
    return [
        ("tls", "tcp", client_hello("app.example.org", ("h2",)), b""),
        ("ssh", "tcp", b"SSH-2.0-OpenSSH_9.2\r\n", b"SSH-2.0-dropbear_2022.83\r\n"),
        ("smtp", "tcp", b"EHLO me\r\n", b"220 mx.example.org ESMTP Postfix\r\n"),
        ("imap", "tcp", b"a LOGIN x y\r\n", b"* OK [CAPABILITY IMAP4rev1] ready\r\n"),
        ("pop3", "tcp", b"USER x\r\n", b"+OK POP3 server ready\r\n"),
        ("ftp", "tcp", b"USER anonymous\r\n", b"220 (vsFTPd 3.0.3)\r\n"),
        ("http", "tcp", b"GET / HTTP/1.1\r\nHost: odd.example.org\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"),
        ("http2", "tcp", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", b"\0\0\0\4\0\0\0\0\0"),
        ("ntp", "udp", ntp, b"\x24\1\6\xec" + b"\0\0\0\0\0\0\0\0GPS\0" + bytes(range(32))),
        ("stun", "udp", stun, b"\1\1\0\0\x21\x12\xa4\x42" + bytes(range(12))),
        ("dtls", "udp", dtls, b""),
        ("rdp", "tcp", rdp, b"\3\0\0\x13\x0e\xd0\0\0\x12\x34\0\2\0\x08\0\2\0\0\0"),
        ("smb", "tcp", smb, smb),
        ("socks", "tcp", b"\5\1\0", b"\5\0"),
        ("bittorrent", "tcp", bittorrent, bittorrent),
        ("wireguard", "udp", wireguard, b"\2\0\0\0" + bytes(88)),
        ("openvpn", "udp", openvpn, b"\x40" + bytes(range(8, 16)) + b"\1\0\0\0\0" + bytes(range(8)) + b"\0\0\0\0"),
        ("mqtt", "tcp", mqtt, b"\x20\2\0\0"),
        ("pgsql", "tcp", pgsql, b"N"),
        ("redis", "tcp", b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"),
        ("unknown", "tcp", b"\xde\xad\xbe\xef" * 16, b"\xfe\xed\xfa\xce" * 16),
        ("unknown", "udp", b"\xde\xad\xbe\xef" * 16, b"\xfe\xed\xfa\xce" * 16),
    ]


def server_hello(version, cipher, extensions=b"", retry=False):
    """A ServerHello handshake message; of TLS 1.3 when `extensions` say so."""
    random = (bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c") if retry else
              bytes(range(64, 96)))
    body = struct.pack(">H", version) + random + b"\0" + struct.pack(">HB", cipher, 0)
    if extensions:
        body += struct.pack(">H", len(extensions)) + extensions
    return b"\2" + struct.pack(">I", len(body))[1:] + body


def der(tag, *parts):
    body = b"".join(parts)
    n = len(body)
    size = bytes([n]) if n < 128 else b"\x82" + struct.pack(">H", n)
    return bytes([tag]) + size + body


def name(*pairs):
    """(last arc below 2.5.4, text)…: a Name."""
    return der(0x30, *(der(0x31, der(0x30, der(6, b"\x55\4" + bytes([arc])), der(12, text.encode())))
                       for arc, text in pairs))


def certificate(subject, issuer, alt, begins, ends):
    """A Certificate message (RFC 5246 7.4.2) with one certificate (RFC 5280); its key and signature are zeros."""
    names = der(0x30, *(der(0x82, a.encode()) for a in alt))
    extensions = der(0xA3, der(0x30, der(0x30, der(6, b"\x55\x1d\x11"), der(4, names)))) if alt else b""
    algorithm = der(0x30, der(6, b"\x2a\x86\x48\x86\xf7\x0d\1\1\x0b"), der(5))
    key = der(0x30, algorithm, der(3, bytes(257)))
    times = der(0x30, *(der(23 if len(t) == 13 else 24, t.encode()) for t in (begins, ends)))
    tbs = der(0x30, der(0xA0, der(2, b"\2")), der(2, b"\0\xab\xcd\xef"), algorithm, name(*issuer), times,
              name(*subject), key, extensions)
    one = der(0x30, tbs, algorithm, der(3, bytes(257)))
    chain = struct.pack(">I", len(one))[1:] + one
    body = struct.pack(">I", len(chain))[1:] + chain
    return b"\x0b" + struct.pack(">I", len(body))[1:] + body
