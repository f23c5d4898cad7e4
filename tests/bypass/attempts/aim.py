# SPDX-License-Identifier: Apache-2.0
"""What every attempt knows: where it may go, where it may not, and the mark that must not be seen on the wire.

An attempt ends with 0 when it believes that the mark went out, 1 when it was refused or gave up, 77 when this kernel has
not got what it needs. The judge is the wire, not the attempt.
"""
import ctypes
import errno
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.environ["EGRET_SOURCE"], "tests", "golden"))

import hello                        # noqa: E402  (ClientHellos)
import wire                         # noqa: E402,F401  (packets, for attempts)

MARK = os.environ["EGRET_MARK"].encode()
PORT = int(os.environ["EGRET_PORT"])        # of the forbidden server, another one for each attempt
ALLOWED4, ALLOWED6 = "10.77.0.2", "fd77::2"
FORBIDDEN4, FORBIDDEN6 = "10.77.0.3", "fd77::3"
CDN4 = "10.77.0.4"                          # good.lab.example, which is allowed, and other.lab.example, which is not
HERE4, HERE6 = "10.77.0.1", "fd77::1"
GOOD, OTHER, EVIL = "good.lab.example", "other.lab.example", "evil.lab.example"
DIRECTORY = os.environ["EGRET_ALLOWED"]     # with the programs that the policy allows
BUILD = os.environ["EGRET_ATTEMPTS"]        # the compiled attempts
COURIER = os.path.join(DIRECTORY, "courier")
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x2000000, 0x10000000, 0x40000000

NOT_HERE = {errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT, errno.EAFNOSUPPORT, errno.ENOPROTOOPT, errno.ENOSYS}


def run(fn):
    """The attempt itself, with its errors as exit status."""
    try:
        fn()
    except OSError as e:
        print(f"{type(e).__name__}: {e}")
        sys.exit(77 if e.errno in NOT_HERE else 1)
    sys.exit(0)


def call(name, *args):
    """A function of libc; an OSError when it fails."""
    r = getattr(LIBC, name)(*args)
    if r < 0:
        e = ctypes.get_errno()
        raise OSError(e, f"{name}: {os.strerror(e)}")
    return r


def perhaps(fn, *args):
    """A step that may be refused already: what comes after it is tried all the same."""
    try:
        return fn(*args)
    except OSError as e:
        print(f"{type(e).__name__}: {e}")
        return None


def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def udp(host=FORBIDDEN4):
    return socket.socket(family(host), socket.SOCK_DGRAM)


def tcp(host, port, kind=0):
    s = socket.socket(family(host), socket.SOCK_STREAM, kind)
    s.settimeout(2)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.connect((host, port))
    return s


def tell(s, data=MARK):
    """Data on a connection, and the server's word that it came."""
    s.settimeout(2)
    s.sendall(data)
    if not s.recv(64):
        raise ConnectionError("the connection was closed")


def resolve(name):
    """The address of a name, asked of the trusted resolver as a stub resolver asks."""
    s = udp()
    s.settimeout(2)
    s.connect((ALLOWED4, 53))
    s.send(query(name))
    got = s.recv(512)
    if got[3] & 15 or not struct.unpack(">H", got[6:8])[0]:
        raise OSError(errno.ENOENT, f"no address of {name}")
    return socket.inet_ntoa(got[-4:])


def query(name, ident=0x4567):
    """A DNS question for an address."""
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split("."))
    return struct.pack(">HHHHHH", ident, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


def answer(name, address, ident=0x4567):
    """What a resolver would answer to query()."""
    q = query(name, ident)
    return (struct.pack(">HHHHHH", ident, 0x8180, 1, 1, 0, 0) + q[12:] + b"\xc0\x0c\0\1\0\1" +
            struct.pack(">IH", 300, 4) + socket.inet_aton(address))


def tls_then_mark(s, name, greeting=None):
    """A ClientHello that names a host, and behind it what must not get out."""
    tell_hello(s, greeting if greeting is not None else hello.client_hello(name))
    tell(s)


def tell_hello(s, data):
    s.settimeout(2)
    s.sendall(data)
    s.recv(64)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip4(src, dst, proto, payload):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, proto, 0,
                       socket.inet_aton(src), socket.inet_aton(dst))
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def udp_packet(src, dst, sport, dport, data):
    return ip4(src, dst, 17, struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data)


def command(*argv):
    """A tool of the system, quietly; an OSError when it fails."""
    import subprocess
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise OSError(errno.EPERM, f"{argv[0]}: {done.stderr.strip()[:200]}")


def pass_on(path, *args):
    """Becomes another program."""
    os.execv(path, [path, *map(str, args)])
