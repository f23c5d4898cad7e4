#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Real clients against real servers under a real egretd: who, where to, which name from where, which protocol."""
import os
import shutil
import subprocess
import sys

import lab
from lab import C4, S4, S6, ZONE

CASES = lab.golden.Cases()


def flow(records, port, proto="TCP", **more):
    """The one flow to this port; more: other fields that tell it apart."""
    found = [r for r in lab.last_flows(records) if r.get("dest_port") == port and r["proto"] == proto and
             all(r.get(k) == v for k, v in more.items())]
    return found[0] if len(found) == 1 else None


def parent_of(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
        return int(f.read().rsplit(")", 1)[1].split()[1])


def check_who(name, r, exe, **more):
    """The record names the program as the kernel resolved it, its arguments, user and parents."""
    if not CASES.check(f"{name}: flow", r is not None):
        return
    p = r.get("process", {})
    CASES.equal(f"{name}: executable", p.get("executable"), exe and os.path.realpath(exe))
    CASES.check(f"{name}: process", p.get("pid") and p.get("start") and p.get("entity_id") and p.get("command_line"), p)
    CASES.check(f"{name}: ancestors up to init", p.get("ancestors") and parent_of(p["ancestors"][-1]["pid"]) in (0, 1), p)
    CASES.equal(f"{name}: user", {k: r.get("user", {}).get(k) for k in ("id", "name")},
                more.get("user", {"id": "0", "name": "root"}))
    CASES.check(f"{name}: egress", r["egret"].get("direction") == more.get("direction", "egress"), r["egret"])


def names_and_protocols(n):
    """curl by address, by name, over TLS, over IPv6; dig; ssh; a QUIC client; ping."""
    n.nginx()
    n.dnsmasq()
    d = n.daemon()
    curl = ["curl", "-sk", "-o", "/dev/null"]
    n.run(*curl, f"http://{S4}/")
    n.run(*curl, "--http1.1", f"https://www.{ZONE}/", "--local-port", "41001", "-4")
    n.run(*curl, f"http://alias2.{ZONE}/", "--local-port", "41002", "-4")
    n.run(*curl, f"https://www.{ZONE}/", "--local-port", "41003", "-6")
    n.run(*curl, "--resolve", f"pinned.{ZONE}:443:{S4}", f"https://pinned.{ZONE}/", "--local-port", "41004")
    n.run(*curl, "--http2-prior-knowledge", f"http://{S4}:8080/", "--local-port", "41005")
    n.run("dig", "+short", f"@{S4}", f"www.{ZONE}", "-b", f"{C4}#41010")
    n.run("dig", "+short", "+tcp", f"@{S4}", "txt", f"txt.{ZONE}", "-b", f"{C4}#41011")
    n.run("dig", "+short", f"@{S6}", f"missing.{ZONE}")
    n.run("ping", "-c", "3", "-i", "0.05", S4)
    n.run("ping", "-6", "-c", "3", "-i", "0.05", S6)
    d.stop()
    records = d.records()

    by_address = [r for r in lab.last_flows(records) if r.get("dest_port") == 80 and
                  r["egret"].get("name") in (S4, None) and r.get("app_proto") == "http"]
    CASES.check("curl by address", len(by_address) == 1, by_address)
    r = flow(records, 443, src_port=41001)
    check_who("curl https by name", r, "/usr/bin/curl")
    if r:
        CASES.equal("https by name: name and source", [r["egret"].get("name"), r["egret"].get("name_source")],
                    [f"www.{ZONE}", "sni"])
        CASES.equal("https by name: protocol", r.get("app_proto"), "tls")
        hello = [t for t in records if t["event_type"] == "tls" and t["flow_id"] == r["flow_id"]]
        CASES.check("https by name: one hello with JA3 and JA4", len(hello) == 1 and
                    hello[0]["tls"]["ja4"].startswith("t13d") and len(hello[0]["tls"]["ja3"]["hash"]) == 32 and
                    hello[0]["tls"]["alpns"] == ["http/1.1"], hello)
        CASES.check("https by name: arguments", f"https://www.{ZONE}/" in r["process"]["command_line"], r["process"])
        CASES.check("https by name: closed by FIN", r["flow"]["reason"] == "tcp_fin" and
                    r["flow"]["state"] == "closed", r["flow"])
        CASES.check("https by name: rtt", 0 < r["egret"].get("tcp", {}).get("rtt_us", 0) < 1000000, r["egret"])
    r = flow(records, 80, src_port=41002)
    check_who("curl by alias", r, "/usr/bin/curl")
    if r:
        CASES.equal("alias of an alias: name", r["egret"].get("name"), f"alias2.{ZONE}")
        CASES.equal("alias of an alias: chain", r["egret"].get("cname_chain"), [f"alias.{ZONE}", f"edge.{ZONE}"])
        CASES.check("request head", any(h["http"]["hostname"] == f"alias2.{ZONE}" and h["http"]["status"] == 200 and
                                        h["http"]["url"] == "/" for h in records
                                        if h["event_type"] == "http" and h["flow_id"] == r["flow_id"]))
    r = flow(records, 443, src_port=41003)
    check_who("curl over IPv6", r, "/usr/bin/curl")
    CASES.check("IPv6 address and name", r and r["dest_ip"] == S6 and r["egret"].get("name") == f"www.{ZONE}", r)
    r = flow(records, 443, src_port=41004)
    CASES.check("a name never asked of DNS comes from the ClientHello", r and
                r["egret"].get("name") == f"pinned.{ZONE}" and r["egret"].get("name_source") == "sni", r)
    r = flow(records, 8080, src_port=41005)
    CASES.check("HTTP/2 with prior knowledge", r and r.get("app_proto") == "http2", r)

    r = flow(records, 53, "UDP", src_port=41010)
    check_who("dig over UDP", r, "/usr/bin/dig")
    CASES.check("dig over UDP: dns", r and r.get("app_proto") == "dns", r)
    r = flow(records, 53, "TCP", src_port=41011)
    check_who("dig over TCP", r, "/usr/bin/dig")
    answers = [a for m in records if m["event_type"] == "dns" and r and m["flow_id"] == r["flow_id"] and
               m["dns"]["type"] == "response" for a in m["dns"].get("answers", [])]
    CASES.check("DNS over TCP: the answer", [a["rdata"] for a in answers if a["rrtype"] == "TXT"] and
                "hello" in answers[0]["rdata"], answers)
    CASES.check("NXDOMAIN over IPv6", any(m["event_type"] == "dns" and m["dns"].get("rcode") == "NXDOMAIN" and
                                          m["dns"]["queries"][0]["rrname"] == f"missing.{ZONE}" and
                                          m["dest_ip"] == S6 for m in records))
    for proto, address in (("ICMP", S4), ("IPv6-ICMP", S6)):
        found = [r for r in lab.last_flows(records) if r["proto"] == proto and r["dest_ip"] == address and
                 r.get("process", {}).get("executable", "").endswith("ping")]
        CASES.check(f"ping {address}", len(found) == 1 and found[0]["flow"]["pkts_toserver"] == 3 and
                    found[0]["flow"]["pkts_toclient"] == 3, found)
    lab.golden.check_schema(CASES, "names and protocols", d.lines())


def ssh_and_quic(n):
    key = os.path.join(n.tmp, "hostkey")
    lab.must("dropbearkey", "-t", "ed25519", "-f", key)
    n.start("dropbear", "-F", "-E", "-r", key, "-p", "2222", "-P", os.path.join(n.tmp, "dropbear.pid"),
            ready=lambda _: n.listens("t", 2222))
    n.start("gtlsserver", "--quiet", "-d", os.path.join(n.tmp, "www"), "0.0.0.0", "4433",
            os.path.join(n.tmp, "key.pem"), os.path.join(n.tmp, "crt.pem"), ready=lambda _: n.listens("u", 4433))
    d = n.daemon()
    n.run("ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
          "-p", "2222", f"nobody@{S4}", "true", check=False)
    quic(n)
    quic(n, "--version=v2draft", "--preferred-versions=v2draft")
    d.stop()
    records = d.records()
    r = flow(records, 2222)
    check_who("ssh", r, "/usr/bin/ssh")
    banners = [x["ssh"] for x in records if x["event_type"] == "ssh"]
    CASES.check("ssh: protocol and both banners", r and r.get("app_proto") == "ssh" and len(banners) == 1 and
                banners[0]["client"]["software_version"].startswith("OpenSSH") and
                banners[0]["server"]["software_version"].startswith("dropbear"), r and r.get("app_proto"), banners)
    hellos = [x for x in records if x["event_type"] == "quic"]
    CASES.check("QUIC v1 and v2: name, ALPN and JA4 of the decrypted Initial", len(hellos) == 2 and
                all(h["quic"].get("sni") == f"quic.{ZONE}" and h["quic"]["ja4"].startswith("q13d") and
                    "h3" in h["quic"]["alpns"] for h in hellos), hellos)
    found = [r for r in lab.last_flows(records) if r.get("dest_port") == 4433]
    CASES.check("QUIC flows: program, name, protocol", len(found) == 2 and
                all(r.get("app_proto") == "quic" and r["egret"].get("name") == f"quic.{ZONE}" and
                    r["egret"].get("name_source") == "quic" and
                    r["process"]["executable"] == "/usr/bin/gtlsclient" for r in found), found)
    lab.golden.check_schema(CASES, "ssh and quic", d.lines())


def quic(n, *version):
    n.run("gtlsclient", "--quiet", "--exit-on-all-streams-close", *version, f"quic.{ZONE}", "4433",
          f"https://quic.{ZONE}/index.html")


def ways_of_sending(n):
    """Sockets as programs really use them."""
    n.sink(7001)
    n.sink(7002, udp=True)
    n.echo(7003, udp=True)
    for ns in (n.client, n.server):
        lab.must("ip", "netns", "exec", ns, "sysctl", "-qw", "net.ipv4.tcp_fastopen=3")
    d = n.daemon()
    py = os.path.realpath("/usr/bin/python3")

    n.python("import socket; s=socket.socket(socket.AF_INET6); s.bind(('::',42001));"
             f"s.connect(('::ffff:{S4}',7001)); s.send(b'mapped'); s.close()")
    n.python("import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('',42002))\n"
             f"for i in range(50): s.sendto(b'x'*100,('{S4}',8000+i))")
    n.python("import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('',42003))\n"
             f"s.connect(('{S4}',7003))\nfor i in range(5): s.send(b'ping'); s.recv(99)")
    n.python("import socket\ns=socket.socket(); s.bind(('',42004)); s.setsockopt(6,23,1)\n"
             f"s.sendto(b'fast',0x20000000,('{S4}',7001)); s.close()")
    n.python("import socket\nr=socket.socket(socket.AF_INET,socket.SOCK_RAW,253)\n"
             f"for i in range(4): r.sendto(b'raw'*10,('{S4}',0))")
    n.python("import socket,struct\nr=socket.socket(socket.AF_INET,socket.SOCK_RAW,255)\n"
             "u=struct.pack('>HHHH',42006,7002,13,0)+b'hello'\n"
             f"h=struct.pack('>BBHHHBBH4s4s',0x45,0,20+len(u),1,0,64,17,0,socket.inet_aton('{C4}'),"
             f"socket.inet_aton('{S4}'))\nr.sendto(h+u,('{S4}',0))")
    n.python("import socket,os\ns=socket.socket(); s.bind(('',42007))\n"          # inherited by a child
             f"s.connect(('{S4}',7001))\nif os.fork()==0: s.send(b'child'); os._exit(0)\nos.wait(); s.close()")
    passer = ("import socket,os,array\na,b=socket.socketpair(socket.AF_UNIX,socket.SOCK_STREAM)\n"
              "if os.fork()==0:\n"
              " m,anc,f,_=b.recvmsg(1,socket.CMSG_SPACE(4)); fd=array.array('i',anc[0][2])[0]\n"
              " s=socket.socket(fileno=fd); s.send(b'passed on'); s.close(); os._exit(0)\n"
              f"s=socket.socket(); s.bind(('',42008)); s.connect(('{S4}',7001))\n"
              "a.sendmsg([b'x'],[(socket.SOL_SOCKET,socket.SCM_RIGHTS,array.array('i',[s.fileno()]))])\n"
              "s.close(); os.wait()")
    n.python(passer)
    n.python("import socket\ns=socket.socket(socket.AF_PACKET,socket.SOCK_RAW,socket.htons(0x88b5)); s.close()")
    uring = os.path.join(lab.BUILD, "tests", "e2e", "uring")
    by_uring = [port for port, how in ((42011, []), (42012, ["sqpoll"]))
                if "io_uring_setup" not in n.run(uring, S4, "7001", port, *how, check=False)]
    sctp = n.python("import socket\n"
                    "try: s=socket.socket(socket.AF_INET,socket.SOCK_STREAM,132)\n"
                    "except OSError: print('none'); raise SystemExit\n"
                    f"s.settimeout(0.3)\ntry: s.connect(('{S4}',9))\nexcept OSError: pass")
    n.python("import socket\n"                                                    # MPTCP
             "try: s=socket.socket(socket.AF_INET,socket.SOCK_STREAM,262)\n"
             "except OSError: raise SystemExit\n"
             f"s.bind(('',42010)); s.connect(('{S4}',7001)); s.send(b'multi'); s.close()")
    d.stop()
    records = d.records()

    for name, port in (("v4-mapped", 42001), ("TCP fast open", 42004), ("inherited by a child", 42007),
                       ("passed to another process", 42008), ("MPTCP", 42010)):
        r = flow(records, 7001, src_port=port)
        check_who(name, r, py)
        CASES.check(f"{name}: IPv4 address", r and r["dest_ip"] == S4, r)
    for port in by_uring:
        check_who(f"io_uring, port {port}", flow(records, 7001, src_port=port), uring)
        CASES.equal(f"io_uring, port {port}: payload",
                    [r["egret"].get("payload_toserver") for r in lab.last_flows(records) if r.get("src_port") == port], [11])
    if len(by_uring) < 2:
        CASES.skip("io_uring", "this kernel has none for us")
    sizes = {42001: 6, 42004: 4, 42007: 5, 42008: 9}
    for port, size in sizes.items():
        r = flow(records, 7001, src_port=port)
        CASES.equal(f"payload from port {port}", r and r["egret"].get("payload_toserver"), size)
    many = [r for r in lab.last_flows(records) if r.get("src_port") == 42002 and r["proto"] == "UDP"]
    CASES.check("one unconnected UDP socket, 50 peers, each counted", len(many) == 50 and
                all(r["flow"]["pkts_toserver"] == 1 and r["flow"]["bytes_toserver"] == 128 and
                    r["process"]["executable"] == py for r in many), len(many), many[:2])
    r = flow(records, 7003, "UDP", src_port=42003)
    CASES.check("connected UDP, both ways", r and [r["flow"]["pkts_toserver"], r["flow"]["pkts_toclient"],
                                                   r["egret"]["payload_toserver"]] == [5, 5, 20], r)
    raw = [r for r in lab.last_flows(records) if r["proto"] == "253"]
    CASES.check("raw socket", len(raw) == 1 and raw[0]["flow"]["pkts_toserver"] == 4 and
                raw[0]["flow"]["bytes_toserver"] == 200 and raw[0]["process"]["executable"] == py, raw)
    r = flow(records, 7002, "UDP", src_port=42006)
    CASES.check("raw socket with a header of its own", r and r["flow"]["bytes_toserver"] == 33 and
                r["process"]["executable"] == py, r)
    notice = [r for r in records if r.get("egret", {}).get("notice", {}).get("kind") == "packet_socket"]
    CASES.check("packet socket: said by whom", len(notice) == 1 and notice[0]["process"]["executable"] == py, notice)
    if "none" in sctp:
        CASES.skip("SCTP", "this kernel has none")
    else:
        CASES.check("SCTP", flow(records, 9, "SCTP") is not None)
    lab.golden.check_schema(CASES, "ways of sending", d.lines())


def who_it_was(n):
    """Processes that are hard to name: short-lived, deleted, memfd, another user, scripts, containers, other cgroups."""
    n.sink(7001)
    host64 = "0123456789abcdef" * 4
    container = os.path.join(n.cgroup, "docker", host64)
    os.makedirs(container)
    service = os.path.join(n.cgroup, "system.slice", "made-up.service")
    os.makedirs(service)
    other = n.name + "x"
    n.add_ns(other)
    lab.must("ip", "link", "add", "x0", "netns", other, "type", "veth", "peer", "name", "y0", "netns", n.server)
    lab.must("ip", "-n", other, "addr", "add", "10.78.0.1/24", "dev", "x0")
    lab.must("ip", "-n", n.server, "addr", "add", "10.78.0.2/24", "dev", "y0")
    for ns, dev in ((other, "x0"), (n.server, "y0")):
        lab.must("ip", "-n", ns, "link", "set", dev, "up")
    d = n.daemon()
    n.run("bash", "-c", f"for i in $(seq 100); do (exec 3<>/dev/tcp/{S4}/7001; echo x >&3); done")
    gone = os.path.join(n.tmp, "gone-curl")
    shutil.copy("/usr/bin/curl", gone)
    n.python(f"import os\nfd=os.open('{gone}',os.O_RDONLY)\nos.unlink('{gone}')\n"
             f"os.execve(fd,['x','-s','--local-port','43001','-m','1','telnet://{S4}:7001'],dict(os.environ))",
             check=False, stdin=b"")
    n.python("import os\nfd=os.memfd_create('made')\nos.write(fd,open('/usr/bin/curl','rb').read())\n"
             f"os.execve(fd,['x','-s','--local-port','43002','-m','1','telnet://{S4}:7001'],dict(os.environ))",
             check=False, stdin=b"")
    script = os.path.join(n.tmp, "script.sh")
    with open(script, "w", encoding="ascii") as f:
        f.write(f"#!/bin/bash\nexec 3<>/dev/tcp/{S4}/7001\necho from a script >&3\n")
    os.chmod(script, 0o755)
    n.run(script)
    n.run("setpriv", "--reuid=65534", "--clear-groups", "curl", "-s", "--local-port", "43003", "-m", "1",
          f"telnet://{S4}:7001", check=False, stdin=b"")
    for cgroup, port in ((container, 43004), (service, 43005)):
        n.run("curl", "-s", "--local-port", port, "-m", "1", f"telnet://{S4}:7001", cgroup=cgroup, check=False, stdin=b"")
    n.run("curl", "-s", "--local-port", "43006", "-m", "1", "telnet://10.78.0.2:7001", ns=other, cgroup=container,
          check=False, stdin=b"")
    n.run("curl", "-s", "-m", "1", "-u", "user:topsecret", "-H", "Authorization: Bearer abcdef", "--local-port", "43007",
          f"http://{S4}:7001/?token=hunter2", check=False)
    if shutil.which("node"):
        n.run("node", "-e", f"require('net').connect({{host:'{S4}',port:7001,localPort:43008}}).end('from node')")
    d.stop()
    records = d.records()

    short = [r for r in lab.last_flows(records) if r.get("process", {}).get("executable") == "/usr/bin/bash" and
             "seq 100" in r["process"].get("command_line", "")]
    CASES.equal("100 subshells that are gone at once", len(short), 100)
    CASES.equal("100 subshells: each a process of its own", len({r["process"]["entity_id"] for r in short}), 100)
    r = flow(records, 7001, src_port=43001)
    CASES.check("deleted executable: path, and that it is gone", r and r["process"].get("executable") == gone and
                r["egret"].get("exe_note") == "deleted", r and r.get("process"), r and r["egret"])
    r = flow(records, 7001, src_port=43002)
    CASES.check("memfd: said to be so", r and r["egret"].get("exe_note") == "memfd" and
                "made" in r["process"].get("executable", ""), r and r.get("process"), r and r["egret"])
    found = [r for r in lab.last_flows(records) if script in r.get("process", {}).get("command_line", "")]
    CASES.check("a script is its interpreter with the script as argument", len(found) == 1 and
                found[0]["process"]["executable"] == "/usr/bin/bash", found)
    r = flow(records, 7001, src_port=43003)
    CASES.check("another user", r and r["user"].get("id") == "65534" and r["user"].get("name") == "nobody", r and r.get("user"))
    r = flow(records, 7001, src_port=43004)
    CASES.check("a container by its cgroup", r and r.get("container", {}).get("id") == host64 and
                r["cgroup"].endswith(host64), r and r.get("container"))
    r = flow(records, 7001, src_port=43005)
    CASES.check("a systemd unit by its cgroup", r and r.get("service", {}).get("name") == "made-up.service",
                r and r.get("service"))
    r = flow(records, 7001, src_port=43006)
    CASES.check("another network namespace below the cgroup", r and r["dest_ip"] == "10.78.0.2" and
                r["process"]["executable"] == "/usr/bin/curl", r)
    r = flow(records, 7001, src_port=43007)
    line = r["process"].get("command_line", "") if r else ""
    CASES.check("secrets do not reach the record", r and "topsecret" not in line and "abcdef" not in line and
                "hunter2" not in line and "curl" in line, line)
    if shutil.which("node"):
        check_who("node program", flow(records, 7001, src_port=43008), shutil.which("node"))
    else:
        CASES.skip("node program", "no node here")
    lab.golden.check_schema(CASES, "who it was", d.lines())


def inbound(n):
    """A server inside the watched cgroup: flows that others open are replies, not egress."""
    d = n.daemon()
    n.start("socat", "TCP4-LISTEN:7100,reuseaddr", "PIPE", ns=n.client, watched=True,
            ready=lambda _: n.listens("t", 7100, n.client))
    n.run("bash", "-c", f"exec 3<>/dev/tcp/{C4}/7100; echo hi >&3; read -r x <&3", ns=n.server, watched=False)
    n.wait_quiet()
    d.stop()
    r = flow(d.records(), 7100)
    check_who("a server's flow", r, "/usr/bin/socat", direction="reply")
    CASES.check("a server's flow: who opened it is the source", r and r["src_ip"] == S4 and r["dest_ip"] == C4 and
                r["egret"].get("payload_toserver") == 3 and r["egret"].get("payload_toclient") == 3, r)


def main():
    lab.need(CASES, "curl", "nginx", "dnsmasq", "dig", "socat", "dropbear", "ssh", "gtlsclient", "gtlsserver", "ping")
    for scenario in (names_and_protocols, ways_of_sending, who_it_was, inbound):
        n = lab.Lab(scenario.__name__[:3])
        try:
            scenario(n)
            if scenario is names_and_protocols:
                ssh_and_quic(n)
        except (RuntimeError, TimeoutError, subprocess.SubprocessError) as e:
            CASES.check(scenario.__name__, False, repr(e))
        finally:
            n.close()
    return CASES.end()


sys.exit(main())
