#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Packets and bytes of every flow, both ways, equal to what tcpdump writes down on the client's side of the wire."""
import subprocess
import sys

import lab
from lab import S4, S6, ZONE

CASES = lab.golden.Cases()
NEVER = 7999        # a port where nobody listens


def connect_and(n, code, port=7001, host=S4):
    n.python("import socket,struct,time\n"
             f"s=socket.create_connection(('{host}',{port}))\n{code}")


def closings(n):
    """Who closes, and how."""
    connect_and(n, "s.send(b'a'*100); s.close()")
    connect_and(n, "s.send(b'a'); s.shutdown(1); s.recv(1); s.close()")
    connect_and(n, "while s.recv(65536): pass\ns.close()", port=7010)                 # the server closes first
    connect_and(n, "s.setsockopt(1,13,struct.pack('ii',1,0)); s.send(b'abc'); s.close()")      # reset by us
    connect_and(n, "s.send(b'q')\ntry:\n while s.recv(99): pass\nexcept OSError: pass", port=7011)  # reset by them
    n.python("import socket\ns=socket.socket()\n"
             f"try: s.connect(('{S4}',{NEVER}))\nexcept OSError: pass")
    n.python("import socket\ns=socket.socket(socket.AF_INET6)\n"
             f"try: s.connect(('{S6}',{NEVER}))\nexcept OSError: pass")
    connect_and(n, "s.send(b'v6'); s.close()", host=S6)
    n.python("import socket\n"                                                        # half of it is never read
             f"s=socket.create_connection(('{S4}',7010)); s.recv(10); s.close()")


def datagrams(n):
    n.python("import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(2)\n"
             f"for size in (0,1,1472,1473,4000,9000,30000,65507):\n s.sendto(b'u'*size,('{S4}',7002))\n"
             f"for size in (1,1400,3000,20000):\n s.sendto(b'u'*size,('{S4}',7003)); s.recv(65535)")
    n.python("import socket\ns=socket.socket(socket.AF_INET6,socket.SOCK_DGRAM); s.settimeout(2)\n"
             f"s.connect(('{S6}',7003))\n"
             "for size in (1,1400,3000,20000):\n s.send(b'u'*size); s.recv(65535)")
    n.python("import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
             f"for p in range(300): s.sendto(b'spray'*10,('{S4}',20000+p))")
    n.python("import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"      # UDP GSO
             f"s.connect(('{S4}',7002)); s.setsockopt(17,103,1000)\n"
             "for i in range(3): s.send(b'g'*9500)")
    n.run("ping", "-c", "3", "-i", "0.02", "-s", "4000", S4)
    n.run("ping", "-6", "-c", "3", "-i", "0.02", S6)


def bulk(n):
    n.run("curl", "-sk", "-o", "/dev/null", f"http://{S4}/big")
    n.run("curl", "-sk", "-o", "/dev/null", f"https://{S4}/big")
    n.run("curl", "-sk", "-o", "/dev/null", f"https://[{S6}]/big")
    connect_and(n, "b=b'z'*1000000\nfor i in range(20): s.sendall(b)\ns.close()")


def many(n):
    """500 connections and 300 look-ups from one program, several at once."""
    n.python("import socket,threading\n"
             "def work():\n"
             f" for i in range(125):\n  s=socket.create_connection(('{S4}',7001)); s.send(b'm'*i); s.close()\n"
             "t=[threading.Thread(target=work) for _ in range(4)]\n[x.start() for x in t]; [x.join() for x in t]")
    n.run("bash", "-c", f"for i in $(seq 30); do dig +short @{S4} www.{ZONE} >/dev/null; done")


def late(n):
    """What comes when the socket is gone: see late_server.py."""
    for what in "tfdsr":
        connect_and(n, f"s.send(b'{what}'); s.recv(5, socket.MSG_WAITALL); s.close(); time.sleep(1)", port=7012)


def offloads(n, on):
    for ns, dev in ((n.client, "c0"), (n.server, "s0")):
        lab.must("ip", "netns", "exec", ns, "ethtool", "-K", dev, *(
            x for f in ("tso", "gso", "gro", "tx-udp-segmentation") for x in (f, "on" if on else "off")))


def only_tso_off(n):
    """The kernel cuts in software, after the cgroup hook: the wire sees more packets than the hook."""
    for ns, dev in ((n.client, "c0"), (n.server, "s0")):
        lab.must("ip", "netns", "exec", ns, "ethtool", "-K", dev, "tso", "off", "gso", "on",
                 "tx-udp-segmentation", "off")


def lossy_wire(n):
    """The far end drops one packet in 50 on its way in, so that ours are sent again (netem is not in every kernel)."""
    lab.must("ip", "netns", "exec", n.server, "nft", "add table inet lossy; "
             "add chain inet lossy in { type filter hook prerouting priority -300; }; "
             "add rule inet lossy in meta l4proto tcp numgen random mod 50 == 0 drop")


def measure(n, name, traffic):
    """One pattern: egretd and tcpdump side by side; then both are ended and compared."""
    d = n.daemon()
    wire = n.capture(name=name.replace(" ", "-") + ".pcap")
    traffic(n)
    n.wait_quiet()
    n.wait_quiet(ns=n.server)       # whoever did not get the last ACK says FIN again
    flows = wire.stop()
    CASES.equal(f"{name}: egretd ends well", d.stop(), 0)
    records = d.records()
    lab.compare_counts(CASES, name, records, flows)
    lost = [r["stats"] for r in records if r["event_type"] == "stats" and r["stats"]["lost_total"]]
    CASES.check(f"{name}: nothing lost", not lost, lost[-1:])


def main():
    lab.need(CASES, "curl", "nginx", "dnsmasq", "dig", "ethtool", "ping", "nft")
    n = lab.Lab("cnt")
    try:
        n.nginx()
        n.dnsmasq()
        n.sink(7001)
        n.sink(7002, udp=True)
        n.echo(7003, udp=True)
        n.small_server("source", 7010)
        n.small_server("reset", 7011)
        n.late_server(7012)
        for how, setting in (("offloads on", lambda: offloads(n, True)), ("offloads off", lambda: offloads(n, False)),
                             ("tso off gso on", lambda: only_tso_off(n))):
            setting()
            for traffic in (closings, datagrams, bulk, many, late):
                if traffic in (many, late) and how != "offloads on":
                    continue
                measure(n, f"{traffic.__name__}, {how}", traffic)
        offloads(n, True)
        lossy_wire(n)
        measure(n, "bulk, packets lost on the way", bulk)
    except (RuntimeError, TimeoutError, subprocess.SubprocessError) as e:
        CASES.check("counts", False, repr(e))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
