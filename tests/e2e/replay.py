#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The same traffic seen live and read back from its capture: the same names, protocols, fingerprints and counts."""
import hashlib
import os
import ssl
import subprocess
import sys

import lab
from lab import S4, S6, ZONE

CASES = lab.golden.Cases()


SMALL, LARGE, MAIL = 4441, 4442, 4425   # TLS 1.2 servers
STARTTLS = r"""import socket, ssl, sys
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
c.maximum_version = ssl.TLSVersion.TLSv1_2
c.load_cert_chain(sys.argv[2], sys.argv[3])
s = socket.create_server(("", int(sys.argv[1])))
while True:
    p, _ = s.accept()
    try:
        f = p.makefile("rwb", 0)
        f.write(b"220 mx ESMTP\r\n")
        f.readline()
        f.write(b"250-mx\r\n250 STARTTLS\r\n")
        f.readline()
        f.write(b"220 go ahead\r\n")
        t = c.wrap_socket(p, server_side=True)
        t.recv(100)
        t.close()
    except OSError:
        p.close()
"""


def servers12(n):
    """Servers of TLS 1.2 with a certificate of 0.5 KiB and one of 5 KiB; gives the files of both."""
    crts = []
    for port, alt in ((SMALL, f"DNS:small.{ZONE}"), (LARGE, ",".join(f"DNS:n{i}.{ZONE}" for i in range(200)))):
        key, crt = (os.path.join(n.tmp, f"{what}{port}.pem") for what in ("key", "crt"))
        lab.must("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                 key, "-out", crt, "-days", "30", "-subj", f"/O=Example, Inc./CN=server {port}", "-addext",
                 f"subjectAltName={alt}")
        n.start("openssl", "s_server", "-tls1_2", "-quiet", "-accept", str(port), "-key", key, "-cert", crt,
                ready=lambda _, port=port: n.listens("t", port))
        crts.append(crt)
    n.start("python3", "-c", STARTTLS, str(MAIL), crts[0], key.replace(str(LARGE), str(SMALL)),
            ready=lambda _: n.listens("t", MAIL))
    return crts


def check_certificates(crts, records):
    """The live records tell the certificates that the servers have."""
    for port, crt, names in ((SMALL, crts[0], 1), (LARGE, crts[1], 200), (MAIL, crts[0], 1)):
        with open(crt, encoding="ascii") as f:
            der = ssl.PEM_cert_to_DER_cert(f.read())
        want = hashlib.sha256(der).hexdigest()
        got = [r for r in records if r["event_type"] == "tls" and r["dest_port"] == port]
        subject = f"O=Example, Inc., CN=server {LARGE if port == LARGE else SMALL}"
        CASES.check(f"port {port}: certificate of {len(der)} bytes", got and all(
            r["egret"].get("certificate", {}).get("sha256") == want and r["tls"]["subject"] == subject and
            r["egret"]["certificate"]["self_issued"] and r["egret"]["certificate"]["dns_names"] == names and
            r["tls"]["version"] == "TLS 1.2" for r in got), [(r["tls"], r["egret"]) for r in got])
    covers = {r["tls"]["sni"]: r["egret"].get("certificate", {}).get("covers_sni") for r in records
              if r["event_type"] == "tls" and r["dest_port"] == LARGE}
    CASES.equal("which names are covered", covers, {f"n150.{ZONE}": True, "elsewhere.example": False})


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
    for port, name in ((SMALL, f"small.{ZONE}"), (LARGE, f"n150.{ZONE}"), (LARGE, "elsewhere.example")):
        n.run("openssl", "s_client", "-connect", f"{S4}:{port}", "-servername", name, stdin=b"", check=False)
    n.run("openssl", "s_client", "-connect", f"{S4}:{MAIL}", "-starttls", "smtp", "-servername", f"mx.{ZONE}", stdin=b"",
          check=False)
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
                (r[kind], *(r["egret"].get(k) for k in ("ja4_r", "ech", "cipher", "alpn", "certificate"))))
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
        crts = servers12(n)
        # Segments of one large datagram send arrive apart at the socket: let them be apart on the wire, too.
        lab.must("ip", "netns", "exec", n.server, "ethtool", "-K", "s0", "tx-udp-segmentation", "off")
        d = n.daemon()
        wire = n.capture(snaplen=20000)
        traffic(n)
        n.wait_quiet()
        wire.stop()
        d.stop()
        live = facts(d.records())
        check_certificates(crts, d.records())
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
