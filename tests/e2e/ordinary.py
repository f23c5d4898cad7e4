#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An ordinary day of a server and its admin, in two minutes, with `learn 0s`: no finding of medium or above.

Updates, downloads, git, DNS, ssh and scp, time, a browser on many hosts, a proxy with health checks, a web application that asks
others, backups by rsync, one letter to the server of one's own.
"""
import os
import shutil
import sys
import time

import lab
from lab import S4

CASES = lab.golden.Cases()
SITE = "corp.example"
PYTHON = "/usr/bin/python3"
OUTSIDE = "44.128.0.9"      # the block for tests of the amateur radio network; nothing leaves the lab

MAIL = """
import socketserver
class H(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 mail ESMTP\\r\\n")
        data = False
        for line in self.rfile:
            line = line.strip()
            if data:
                data = line != b"."
                if not data: self.wfile.write(b"250 taken\\r\\n")
            elif line.upper().startswith(b"DATA"):
                data = True; self.wfile.write(b"354 go\\r\\n")
            elif line.upper().startswith(b"QUIT"):
                self.wfile.write(b"221 bye\\r\\n"); return
            else:
                self.wfile.write(b"250 fine\\r\\n")
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("", 587), H).serve_forever()
"""

APPLICATION = f"""
import http.server, urllib.request
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = urllib.request.urlopen("http://api.{SITE}/index.html", timeout=5).read() if "api" in self.path else b"ok"
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("", 8000), H).serve_forever()
"""


def repository(n):
    """A Debian archive of one empty package list, without signatures."""
    folder = os.path.join(n.tmp, "www", "debian", "dists", "stable")
    os.makedirs(os.path.join(folder, "main", "binary-amd64"))
    open(os.path.join(folder, "main", "binary-amd64", "Packages"), "w").close()
    with open(os.path.join(folder, "Release"), "w", encoding="ascii") as f:
        f.write("Suite: stable\nComponents: main\nArchitectures: amd64\n")
    for sub in ("etc/apt.conf.d", "etc/preferences.d", "etc/sources.list.d", "lists/partial", "cache/archives/partial", "dpkg"):
        os.makedirs(os.path.join(n.tmp, "apt", sub))
    open(os.path.join(n.tmp, "apt", "dpkg", "status"), "w").close()
    with open(os.path.join(n.tmp, "apt", "sources"), "w", encoding="ascii") as f:
        f.write(f"deb [trusted=yes] http://deb.{SITE}/debian stable main\n")
    a = os.path.join(n.tmp, "apt")
    return ["apt-get", "-o", f"Dir::Etc={a}/etc", "-o", f"Dir::Etc::SourceList={a}/sources", "-o", f"Dir::State={a}",
            "-o", f"Dir::State::status={a}/dpkg/status", "-o", f"Dir::Cache={a}/cache", "-o", "Acquire::Languages=none",
            "-o", "APT::Sandbox::User=root", "update"]


def git_repository(n):
    work = os.path.join(n.tmp, "work")
    lab.must("git", "init", "-q", work)
    with open(os.path.join(work, "a"), "wb") as f:
        f.write(os.urandom(300000))
    lab.must("git", "-C", work, "add", "a")
    lab.must("git", "-C", work, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a")
    bare = os.path.join(n.tmp, "www", "repo.git")
    lab.must("git", "clone", "-q", "--bare", work, bare)
    lab.must("git", "-C", bare, "update-server-info")


def proxy(n):
    """nginx of the watched host: in front of the application and of a far server, which it checks every 2 s by curl."""
    conf = os.path.join(n.tmp, "proxy.conf")
    dirs = " ".join(f"{kind}_temp_path {n.tmp}/p_{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open(conf, "w", encoding="ascii") as f:
        f.write(f"user root; daemon off; master_process off; pid {n.tmp}/proxy.pid; error_log stderr;\nevents {{}}\n"
                f"http {{ access_log off; {dirs}\nserver {{ listen 80;\n location /far {{ proxy_pass http://{S4}:8080/; }}\n"
                "location / { proxy_pass http://127.0.0.1:8000; } } }\n")
    n.start(PYTHON, "-c", APPLICATION, ns=n.client, watched=True, ready=lambda _: n.listens("t", 8000, n.client))
    n.start("nginx", "-c", conf, ns=n.client, watched=True, ready=lambda _: n.listens("t", 80, n.client))
    n.start("bash", "-c", f"while sleep 2; do curl -s -m 2 http://{S4}:8080/ >/dev/null; done", ns=n.client, watched=True)
    n.start("bash", "-c", "while sleep 0.5; do curl -s -m 2 http://10.77.0.1/api >/dev/null; curl -s -m 2 http://10.77.0.1/far "
            ">/dev/null; done", watched=False)


def clock(n):
    conf = os.path.join(n.tmp, "chrony.conf")
    with open(conf, "w", encoding="ascii") as f:
        f.write(f"local stratum 2\nallow all\ncmdport 0\nbindcmdaddress /\npidfile {n.tmp}/chrony.s\n")
    n.start("chronyd", "-n", "-x", "-f", conf, "-u", "root", ready=lambda _: n.listens("u", 123))
    client = os.path.join(n.tmp, "chrony.client")
    with open(client, "w", encoding="ascii") as f:
        f.write(f"server ntp.{SITE} minpoll 1 maxpoll 2 iburst\ncmdport 0\nbindcmdaddress /\nport 0\npidfile {n.tmp}/chrony.c\n")
    n.start("chronyd", "-n", "-x", "-f", client, "-u", "root", ns=n.client, watched=True)


def once(n, ssh, apt):
    """One round of what people and cron do."""
    remote = f"root@{S4}"
    n.run(*apt, timeout=60)
    n.run("curl", "-s", "-o", "/dev/null", f"http://files.{SITE}/big")
    n.run("curl", "-sk", "-o", "/dev/null", f"https://www.{SITE}/")
    shutil.rmtree(os.path.join(n.tmp, "clone"), ignore_errors=True)
    n.run("git", "clone", "-q", f"http://git.{SITE}/repo.git", os.path.join(n.tmp, "clone"))
    for name in ("www", "mail", "deb", "nothing-here"):
        n.run("dig", "+tries=1", f"{name}.{SITE}", "A")
        n.run("dig", "+tries=1", f"{name}.{SITE}", "AAAA")
    n.run("bash", "-c", f"{ssh} {remote} uptime")
    n.run("bash", "-c", f"scp -O {ssh[4:].replace('-p ', '-P ')} /etc/services {remote}:services")
    if shutil.which("rsync"):
        n.run("bash", "-c", f"rsync -a -e '{ssh}' /usr/share/perl5 {remote}:backup", check=False)
    if shutil.which("w3m"):
        for i in range(25):
            n.run("w3m", "-dump", f"http://h{i}.site{i % 7}.example/", check=False)
    n.python(f"import urllib.request\nfor i in range(20): urllib.request.urlopen('http://api{{}}.{SITE}/'.format(i % 3)).read()")
    n.run("curl", "-s", "-m", "5", f"http://{OUTSIDE}/", check=False)


def main():
    lab.need(CASES, "nginx", "dnsmasq", "dig", "curl", "git", "dropbear", "ssh")
    n = lab.Lab("ord")
    try:
        lab.must("ip", "-n", n.server, "addr", "add", OUTSIDE + "/24", "dev", "s0")
        lab.must("ip", "-n", n.client, "route", "add", "44.128.0.0/24", "dev", "c0")
        n.nginx()
        n.start("dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--log-facility=-", "--user=root",
                f"--pid-file={n.tmp}/dnsmasq.pid", "--bind-interfaces", "-i", "s0", f"--address=/example/{OUTSIDE}",
                f"--address=/{SITE}/{S4}", ready=lambda _: n.listens("u", 53))
        n.start(PYTHON, "-c", MAIL, ready=lambda _: n.listens("t", 587))
        apt, ssh = repository(n), n.dropbear()
        git_repository(n)
        d = n.daemon(conf="learn 0s\n")
        begin = time.monotonic()
        proxy(n)
        if shutil.which("chronyd"):
            clock(n)
        if shutil.which("swaks"):
            n.run("swaks", "--server", f"mail.{SITE}", "--port", "587", "--to", "a@b.example", "--silent", "3", check=False)
        rounds = 0
        while time.monotonic() - begin < 75 or rounds < 2:
            once(n, ssh, apt)
            rounds += 1
        found = d.findings()
        for r in found:
            f = r["egret"]["finding"]
            print(f"{f['level']} {f['score_db']} dB {f['detector']}: {f['explain']}")
        told = [r["egret"]["finding"] for r in found if r["egret"]["finding"]["level"] != "low"]
        for f in told:
            CASES.check("an ordinary day: " + f["explain"], False, f)
        status = d.egret("status", "--json").stdout
        CASES.check(f"{rounds} rounds of an ordinary day: nothing of medium or above", not told and '"entities":' in status)
        CASES.check("nothing of it was told", "finding " not in d.messages(), d.messages())
        d.stop()
        lab.golden.check_schema(CASES, "records of an ordinary day", d.lines())
        programs = {r["process"]["name"] for r in lab.last_flows(d.records()) if "process" in r}
        CASES.check(f"it was seen: {', '.join(sorted(programs))}", {"curl", "git-remote-http", "ssh", "dig", "nginx"} <= programs, programs)
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
