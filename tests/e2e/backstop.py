#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The backstop at tc egress: what packet sockets and tun devices send is judged, what is others' is left alone.

The daemon runs in the client's network namespace: the backstop is put on that one's devices, and nowhere else.
"""
import os
import subprocess
import sys

import lab
from guarded import Guarded
from lab import S4

CASES = lab.golden.Cases()
GOOD, BAD = 7001, 7002
TUN = "10.78.0.1"

# Prints each port that a datagram came in at.
LISTEN = """
import selectors, socket, sys
sel = selectors.DefaultSelector()
for port in map(int, sys.argv[1:]):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", port))
    sel.register(s, selectors.EVENT_READ, port)
print("ready", flush=True)
while True:
    for key, _ in sel.select():
        print(key.data, key.fileobj.recv(2000).decode(), flush=True)
"""

PACKET = """
import socket, struct
def udp(src, dst, port, text):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(text), 0, 0, 64, 17, 0, socket.inet_aton(src),
                       socket.inet_aton(dst))
    s = sum(struct.unpack("!10H", head))
    s = (s & 0xffff) + (s >> 16)
    s = ~((s & 0xffff) + (s >> 16)) & 0xffff
    return head[:10] + struct.pack("!H", s) + head[12:] + struct.pack("!HHHH", 4000, port, 8 + len(text), 0) + text
"""

# Frames straight to the device: the kernel writes the header of Ethernet, or the program does.
RAW = PACKET + """
import sys
dst, mac, port, text = sys.argv[1], bytes.fromhex(sys.argv[2]), int(sys.argv[3]), sys.argv[4].encode()
for how in sys.argv[5:]:
    p = udp("10.77.0.1", dst, port, text + b"-" + how.encode())
    try:
        if how == "dgram":
            s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
            s.sendto(p, ("c0", 0x0800, 0, 0, mac))
        else:
            s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            s.bind(("c0", 0))
            s.send(mac + bytes(6) + b"\\x08\\x00" + p)
    except OSError as e:
        print(e)
"""

# A tun device of its own: the packet comes from behind it and is forwarded.
BEHIND_TUN = PACKET + """
import fcntl, os, sys
fd = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", b"egtun", 0x1001))
os.write(fd, udp("10.78.0.2", sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()))
"""


class Listener:
    def __init__(self, n):
        self.n, self.count = n, 0
        self.child = n.start("/usr/bin/python3", "-c", LISTEN, GOOD, BAD, log="listen.log", ready=lambda c: "ready" in self.text(c))

    def text(self, child=None):
        with open((child or self.child).log, encoding="ascii") as f:
            return f.read()

    def came(self, send, hows=("",)):
        """send(port, text) to the refused port, then to the allowed one: what came in at the first of what was sent."""
        self.count += 1
        mark = f"m{self.count}"
        send(BAD, mark)
        send(GOOD, mark)
        lab.wait_for("the datagram to the allowed port", lambda: all(
            f"{GOOD} {mark}{how}" in self.text() for how in hows))
        return sorted(how for how in hows if f"{BAD} {mark}{how}\n" in self.text())


def filters(n, dev):
    return lab.must("ip", "netns", "exec", n.client, "tc", "filter", "show", "dev", dev, "egress")


def scenario(n):
    mac = lab.must("ip", "-n", n.server, "-o", "link", "show", "s0").split("link/ether ")[1].split()[0].replace(":", "")
    listener = Listener(n)
    lab.must("ip", "-n", n.client, "tuntap", "add", "egtun", "mode", "tun")
    lab.must("ip", "-n", n.client, "addr", "add", TUN + "/24", "dev", "egtun")
    lab.must("ip", "-n", n.client, "link", "set", "egtun", "up")
    lab.must("ip", "netns", "exec", n.client, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")

    def raw(port, text, **kw):
        n.python(RAW, S4, mac, port, text, "dgram", "raw", **kw)

    def tun(port, text):
        n.python(BEHIND_TUN, S4, port, text)

    hows = ("-dgram", "-raw")
    CASES.equal("before: packet sockets send", listener.came(raw, hows), sorted(hows))
    CASES.equal("before: a tun device sends", listener.came(tun), [""])

    lab.must("ip", "netns", "exec", n.client, "tc", "qdisc", "add", "dev", "c0", "clsact")
    # Somebody else's, which never matches: at the priority that ours would have, too.
    for pref in ("1", "9"):
        lab.must("ip", "netns", "exec", n.client, "tc", "filter", "add", "dev", "c0", "egress", "pref", pref, "bpf", "bytecode",
                 "1,6 0 0 0")
    d = Guarded(n, 'policy "FILE" enforce', "backstop on\n", n.client)
    d.write(f"allow to {S4} port {GOOD}/udp\ndefault deny\n")
    d.start()
    CASES.check("the filter is there", "eg_backstop" in filters(n, "c0"), filters(n, "c0"))
    CASES.equal("packet sockets are refused", listener.came(raw, hows), [])
    CASES.equal("a tun device is refused", listener.came(tun), [])
    CASES.equal("a packet socket outside of what is watched is not judged",
                listener.came(lambda *a: raw(*a, watched=False), hows), sorted(hows))
    r = d.wait_record("the refusal", lambda r: r["event_type"] == "drop" and r.get("drop", {}).get("reason") == "backstop"
                      and r.get("dest_port") == BAD)
    CASES.equal("the refusal names rule and peer", (r["egret"]["rule"]["line"], r["dest_ip"]), (2, S4))
    CASES.check("and claims no program", "process" not in r, r)
    CASES.check("doctor says so", "backstop: on" in d.egret("doctor").stdout)

    lab.must("ip", "-n", n.client, "link", "add", "d0", "type", "veth", "peer", "name", "d1")
    lab.wait_for("the filter on a new device", lambda: "eg_backstop" in filters(n, "d0"))
    d.kill()
    CASES.equal("kill -9: packet sockets are refused", listener.came(raw, hows), [])
    d.start()
    CASES.equal("taken over: one filter, not two", filters(n, "c0").count("handle 0xe67e7"), 1)
    CASES.equal("taken over: packet sockets are refused", listener.came(raw, hows), [])
    d.stop()
    CASES.equal("disarm", d.egret("disarm").returncode, 0)
    CASES.equal("disarm: the filters are gone", [dev for dev in ("c0", "d0") if "eg_backstop" in filters(n, dev)], [])
    CASES.equal("disarm: packet sockets send", listener.came(raw, hows), sorted(hows))
    CASES.equal("the filters of others are still there", filters(n, "c0").count("bytecode"), 2)


def main():
    lab.need(CASES, "nsenter", "unshare", "tc")
    if not os.path.exists("/dev/net/tun"):
        CASES.skip("backstop", "no /dev/net/tun here")
        return CASES.end()
    n = lab.Lab("back")
    try:
        scenario(n)
    except (RuntimeError, TimeoutError, subprocess.SubprocessError, OSError, ValueError, KeyError) as e:
        CASES.check("backstop", False, repr(e))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
