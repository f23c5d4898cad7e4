#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The same traffic seen live and read back from its capture: the same names, protocols, fingerprints and counts."""
import os
import subprocess
import sys

import lab
from lab import S4, S6, ZONE

CASES = lab.golden.Cases()


def traffic(n):
    curl = ["curl", "-sk", "-o", "/dev/null"]
    n.run(*curl, "-4", f"https://www.{ZONE}/")
    n.run(*curl, "-6", f"https://www.{ZONE}/big")
    n.run(*curl, f"http://alias2.{ZONE}/", f"http://alias2.{ZONE}/index.html", f"http://alias2.{ZONE}/missing", "-4")
    n.run(*curl, "--http2-prior-knowledge", "-4", f"http://www.{ZONE}:8080/")
    n.run(*curl, "--tls-max", "1.2", "--resolve", f"old.{ZONE}:443:{S4}", f"https://old.{ZONE}/")
    n.run("openssl", "s_client", "-connect", f"{S4}:443", "-servername", f"openssl.{ZONE}", "-alpn", "h2,http/1.1",
          stdin=b"", check=False)
    n.run("openssl", "s_client", "-connect", f"{S4}:443", "-noservername", stdin=b"", check=False)
    n.run("dig", "+short", f"@{S4}", f"edge.{ZONE}")
    n.run("dig", "+tcp", "+short", f"@{S4}", "txt", f"txt.{ZONE}")
    n.run("dig", "+short", f"@{S6}", "any", f"nothing.{ZONE}")
    n.run("ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
          "-p", "2222", f"nobody@{S4}", "true", check=False)
    for name, path in ((f"quic.{ZONE}", "index.html"), (f"quic6.{ZONE}", "big")):
        n.run("gtlsclient", "--quiet", "--exit-on-all-streams-close", name, "4433", f"https://{name}/{path}")
    n.python("import socket\ns=socket.create_connection(('%s',7001)); s.send(bytes(range(200))*5); s.close()" % S4)
    n.python("import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
             "s.sendto(b'\\x23'+bytes(47),('%s',7002)); s.sendto(b'big'*1500,('%s',7002))" % (S4, S4))
    n.python("import socket\ns=socket.socket()\ntry: s.connect(('%s',7999))\nexcept OSError: pass" % S4)
    n.run("ping", "-c", "2", "-i", "0.05", S4)
    n.run("ping", "-6", "-c", "2", "-i", "0.05", S6)


FLOW = ("pkts_toserver", "pkts_toclient", "bytes_toserver", "bytes_toclient", "state", "reason")
KNOWN = ("name", "name_source", "names", "cname_chain", "ja3", "ja4", "mid_stream", "payload_toserver",
         "payload_toclient")


def facts(records):
    """What a flow and its records say, without times, ids and who; by the ends."""
    out = {}
    for r in lab.last_flows(records):
        facts_of = {k: r["flow"].get(k) for k in FLOW}
        facts_of |= {k: r["egret"].get(k) for k in KNOWN}
        facts_of |= {k: r.get(k) for k in ("app_proto", "community_id")}
        if r["proto"] != "TCP":         # only the host knows when a socket is closed
            facts_of.pop("state"), facts_of.pop("reason")
        out[(r["proto"], *lab.golden.ends(r))] = facts_of
    for r in records:
        kind = r["event_type"]
        if kind in ("dns", "tls", "quic", "http", "ssh", "smtp"):
            out.setdefault((kind, r["proto"], *lab.golden.ends(r)), []).append(
                (r[kind], r["egret"].get("ja4_r"), r["egret"].get("ech")))
    return out


def main():
    lab.need(CASES, "curl", "nginx", "dnsmasq", "dig", "dropbear", "ssh", "gtlsclient", "openssl", "ethtool")
    n = lab.Lab("rep")
    try:
        n.nginx()
        n.dnsmasq()
        n.sink(7001)
        n.sink(7002, udp=True)
        key = os.path.join(n.tmp, "hostkey")
        lab.must("dropbearkey", "-t", "ed25519", "-f", key)
        n.start("dropbear", "-F", "-E", "-r", key, "-p", "2222", "-P", os.path.join(n.tmp, "dropbear.pid"),
                ready=lambda _: n.listens("t", 2222))
        n.start("gtlsserver", "--quiet", "-d", os.path.join(n.tmp, "www"), "::", "4433",
                os.path.join(n.tmp, "key.pem"), os.path.join(n.tmp, "crt.pem"), ready=lambda _: n.listens("u", 4433))
        # Segments of one large datagram send arrive apart at the socket: let them be apart on the wire, too.
        lab.must("ip", "netns", "exec", n.server, "ethtool", "-K", "s0", "tx-udp-segmentation", "off")
        d = n.daemon()
        wire = n.capture(snaplen=20000)
        traffic(n)
        n.wait_quiet()
        wire.stop()
        d.stop()
        live = facts(d.records())
        read = {k: v for k, v in facts(lab.golden.Read(wire.path).records).items()
                if not any(isinstance(x, tuple) and x[1] == lab.MARK_PORT for x in k)}
        CASES.check("traffic of every kind was seen", {"dns", "tls", "quic", "http", "ssh", "TCP", "UDP", "ICMP",
                                                      "IPv6-ICMP"} <= {k[0] for k in live}, {k[0] for k in live})
        CASES.same_set("the same flows and records, live and from the capture", live, read)
        for key in sorted(set(live) & set(read), key=str):
            one, other = live[key], read[key]
            if isinstance(one, dict):
                diff = {k: (one[k], other.get(k)) for k in one if one[k] != other.get(k)}
                CASES.check(f"{key}: flow", not diff, "live, read:", diff)
            else:
                CASES.check(f"{key}", one == other, "live", one, "read", other)
    except (RuntimeError, TimeoutError, subprocess.SubprocessError) as e:
        CASES.check("live against replay", False, repr(e))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
