#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""More flows than user space can hear of: notices are lost and counted, bytes are not.

The daemon is stopped (SIGSTOP) while 60,000 short flows pass, so its ring buffer must overflow; then it goes on. What
the records hold and what they say was unreported together is what the interface sent and received, to the byte. Some connections end while
nobody can be told, and what comes behind their end comes while the ring is read again.
"""
import signal
import subprocess
import sys

import lab
from lab import S4

CASES = lab.golden.Cases()
FLOWS, SIZE, CONNECTIONS, HALF_CLOSED = 60000, 40, 1000, 300
FLOOD = f"""
import socket
for i in range({FLOWS}):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(('{S4}', 7002))
    s.send(b'x' * {SIZE})
    s.close()
for i in range({CONNECTIONS}):
    s = socket.create_connection(('{S4}', 7001))
    s.send(b'y' * 100)
    s.close()
for i in range({HALF_CLOSED} + 1):
    socket.create_connection(('{S4}', 7003)).close()
"""

# A listener that waits for data (TCP_DEFER_ACCEPT: the ACK of the handshake is thrown away) and closes first, so that the ports of its ends
# are those of a connection before; and who connects from one port again and again.
DEFERRED = """
import socket
server = socket.create_server(('', 7004))
server.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 5)
while True:
    c = server.accept()[0]
    c.recv(100)
    c.close()
"""
AGAIN = f"""
import socket, time
for i in range(10):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('', 7350))
    s.connect(('{lab.C4}', 7004))
    time.sleep(0.05)
    s.sendall(b'z' * 10)
    s.recv(1)
    s.close()
    time.sleep(0.05)
"""

# Closes its ends once there is one more than those, one after the other: each FIN is answered without a socket.
LATE = f"""
import socket, time
server = socket.create_server(('', 7003), backlog=512)
ends = [server.accept()[0] for _ in range({HALF_CLOSED} + 1)]
for c in ends:
    c.close()
    time.sleep(0.004)
print("closed", flush=True)
time.sleep(600)
"""


def interface(n):
    """(packets sent, bytes sent, packets received, bytes received) of c0, without Ethernet headers."""
    with_header = [int(lab.must("ip", "netns", "exec", n.client, "cat", f"/sys/class/net/c0/statistics/{x}"))
                   for x in ("tx_packets", "tx_bytes", "rx_packets", "rx_bytes")]
    tp, tb, rp, rb = with_header
    return tp, tb - 14 * tp, rp, rb - 14 * rp


def settle(n):
    """No neighbour discovery in the figures: addresses of the wire are made known, IPv6 is off."""
    for ns, dev, other_ns, other, address in ((n.client, "c0", n.server, "s0", S4), (n.server, "s0", n.client, "c0", lab.C4)):
        mac = lab.must("ip", "netns", "exec", other_ns, "cat", f"/sys/class/net/{other}/address").strip()
        lab.must("ip", "-n", ns, "neigh", "replace", address, "lladdr", mac, "dev", dev, "nud", "permanent")
        lab.must("ip", "netns", "exec", ns, "sysctl", "-qw", f"net.ipv6.conf.{dev}.disable_ipv6=1")


def main():
    lab.need(CASES)
    n = lab.Lab("flo")
    try:
        n.sink(7001)
        n.sink(7002, udp=True)
        late = n.start("/usr/bin/python3", "-c", LATE, ready=lambda _: n.listens("t", 7003), log="late.log")
        settle(n)
        d = n.daemon()
        n.start("/usr/bin/python3", "-c", DEFERRED, ns=n.client, watched=True, ready=lambda _: n.listens("t", 7004, n.client))
        before = interface(n)
        n.python(AGAIN, ns=n.server, watched=False)
        d.child.send_signal(signal.SIGSTOP)
        n.python(FLOOD, timeout=120)
        d.child.send_signal(signal.SIGCONT)
        lab.wait_for("the last FIN", lambda: "closed" in open(late.log, encoding="utf-8").read(), 30)
        n.wait_quiet(30)
        sent = [b - a for a, b in zip(before, interface(n))]
        CASES.equal("after the flood: ends well", d.stop(), 0)
        records = d.records()
        stats = [r["stats"] for r in records if r["event_type"] == "stats"][-1]
        flows = lab.last_flows(records)
        CASES.check("the ring overflowed, and it is counted", stats["lost"]["ring-flow"] > 0, stats)
        up = [r for r in flows if r["src_ip"] == lab.C4]
        in_ = [r for r in flows if r["dest_ip"] == lab.C4]
        told = [sum(r["flow"][f"{what}_to{to}"] for r in up) + sum(r["flow"][f"{what}_to{back}"] for r in in_)
                for to, back in (("server", "client"), ("client", "server")) for what in ("pkts", "bytes")]
        CASES.equal("connections from one port again: each is a flow", [r["flow"]["bytes_toserver"] > 0 for r in in_], [True] * 10)
        rest = [stats["unreported"][k] for k in ("pkts_tx", "bytes_tx", "pkts_rx", "bytes_rx")]
        CASES.check("not one byte is lost: flows and unreported together are what the wire carried",
                    [a + b for a, b in zip(told, rest)] == sent, f"flows {told}", f"unreported {rest}", f"wire {sent}",
                    stats["lost"])
        # a last packet that comes when its flow was told to be over is a flow of its own: one in thousands
        CASES.check("some flows were told of", 0 < len(up) <= (FLOWS + CONNECTIONS + HALF_CLOSED) * 1.001, len(up))
        lab.golden.check_schema(CASES, "after the flood", d.lines())
    except (RuntimeError, TimeoutError, subprocess.SubprocessError) as e:
        CASES.check("flood", False, repr(e))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
