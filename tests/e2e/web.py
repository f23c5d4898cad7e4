#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The page and the API of a real egretd, by curl and by sockets: every route against the document, who may do what, what browsers of
other sites try, hostile and slow clients, 500 live views, TLS, and the death of either process.

All runs in the lab's client namespace, egretd too, so its ports are its own.
"""
import ctypes
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

import jsonschema

import lab
from lab import C4, EGRETD, S4

CASES = lab.golden.Cases()
PORT = 8710
BASE = f"http://127.0.0.1:{PORT}"
API = BASE + "/api/v1"
CHANGE = ("-H", "X-Egret: 1", "-H", "Content-Type: application/json")
NOBODY = ("setpriv", "--reuid=65533", "--regid=65533", "--clear-groups")
MEMBER = ("setpriv", "--reuid=games", "--regid=65533", "--clear-groups")
CLONE_NEWNET = 0x40000000
# Each request from an address of its own: what one address may ask is limited, and a refusal costs it more.
SOURCES = (f"127.9.{i // 250 % 250}.{i % 250 + 1}" for i in itertools.count())


class Answer:
    def __init__(self, done):
        head, _, self.body = done.stdout.decode("utf-8", "replace").partition("\r\n\r\n")
        while head.startswith("HTTP/1.1 100"):
            head, _, self.body = self.body.partition("\r\n\r\n")
        lines = head.split("\r\n")
        self.status = int(lines[0].split()[1]) if lines[0].startswith("HTTP/") else 0
        self.headers = {k.lower(): v for k, _, v in (x.partition(": ") for x in lines[1:])}
        self.curl, self.words = done.returncode, done.stderr.decode()

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]} {self.words[:200]}"


def curl(url, *more, who=(), timeout=10):
    """An answer; `who` stands in front of curl. A path is one of the API."""
    url = url if "://" in url else API + url
    return Answer(subprocess.run([*who, "curl", "-sS", "-i", "-m", str(timeout), *more, "--interface", next(SOURCES), url],
                                 capture_output=True, check=False))


def post(path, body, *more, who=()):
    return curl(path, "-X", "POST", *CHANGE, "-d", json.dumps(body), *more, who=who)


def bearer(token):
    return ("-H", f"Authorization: Bearer {token}")


def connect(address="127.0.0.1", source=None, port=PORT):
    return socket.create_connection((address, port), timeout=10, source_address=(source or next(SOURCES), 0))


def http(request, source=None, stop=None):
    """What comes back for bytes, until the end or `stop`."""
    got = b""
    with connect(source=source) as s:
        try:
            s.sendall(request)
            while part := s.recv(65536):
                got += part
                if stop and stop in got:
                    break
        except OSError:
            pass
    return got


def get(path, *headers):
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\n{''.join(h + chr(13) + chr(10) for h in headers)}\r\n".encode()


class Daemon(lab.Daemon):
    """egretd with a group egret of its own, in which `games` is, and tokens that end when the test says."""

    def start(self):
        group = os.path.join(self.lab.tmp, "group")
        shutil.copy("/etc/group", group)
        with open(group, "a", encoding="ascii") as f:
            f.write("egret:x:64321:games\n")
        self.starts += 1
        self.log = os.path.join(self.run_dir, f"log.{self.starts}")
        with open(self.log, "ab") as out:
            self.child = self.lab._popen(
                ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/group && exec "$@"', group, EGRETD, "--foreground", "-c",
                 self.conf], None, None, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        lab.wait_for("egretd to watch", lambda: "watching" in self.messages() or self.child.poll() is not None)
        self.wait_web()

    def status(self):
        return json.loads(self.egret("status", "--json").stdout or "{}")

    def page(self):
        return self.status().get("page", {})

    def wait_web(self):
        def serves():
            try:
                return curl("/status", "--unix-socket", os.path.join(self.run_dir, "api.sock"), timeout=2).status == 200
            except ValueError:
                return False
        lab.wait_for("the page's process", serves)

    def token(self, *argv):
        return json.loads(self.egret("page", "--json", *argv).stdout)["token"]


def proc(pid, name):
    with open(f"/proc/{pid}/{name}", encoding="ascii", errors="replace") as f:
        return f.read()


def rss(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", proc(pid, "status")).group(1))


# --- what it is -----------------------------------------------------------------------------------------------------------

def the_process(d):
    pid = d.page()["pid"]
    status = dict(x.split(":\t", 1) for x in proc(pid, "status").splitlines() if ":\t" in x)
    CASES.equal("no capability, in no set", {status[k] for k in status if k.startswith("Cap")}, {"0" * 16})
    CASES.equal("no new privileges, a filter of system calls", [status["NoNewPrivs"], status["Seccomp"]], ["1", "2"])
    CASES.check("not root", status["Uid"].split()[0] != "0" and status["Groups"].strip() == "", status["Uid"], status["Groups"])
    links = {os.readlink(f"/proc/{pid}/fd/{x}") for x in os.listdir(f"/proc/{pid}/fd")}
    CASES.check("nothing of the daemon's is open in it", not [x for x in links if "bpf" in x or x.startswith(d.run_dir + "/e") or
                                                             "/state" in x], links)
    CASES.equal("egretd --web by hand: says so", subprocess.run([EGRETD, "--web"], capture_output=True).returncode, 1)


def the_page(d):
    r = curl(BASE + "/")
    CASES.equal("/", r.status, 200)
    want = {"content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
            "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "x-frame-options": "DENY",
            "cross-origin-opener-policy": "same-origin", "cross-origin-resource-policy": "same-origin"}
    for path in ("/", "/api/v1/status", "/nothing", "/api/v1/nothing", "/metrics"):
        got = curl(BASE + path).headers
        CASES.equal(f"strict headers: {path}", {k: got.get(k) for k in want}, want)
    CASES.check("no CORS", not [h for h in r.headers if h.startswith("access-control")])
    if "etag" in r.headers:
        again = curl(BASE + "/", "-H", "If-None-Match: " + r.headers["etag"])
        CASES.equal("the same page again: 304", [again.status, again.body], [304, ""])
        packed = curl(BASE + "/", "-H", "Accept-Encoding: gzip", "--compressed")
        CASES.check("gzip, and without", packed.headers.get("content-encoding") == "gzip" and packed.body == r.body, packed)
    else:
        CASES.check("built without Node: says so", "no page" in r.body, r)
    CASES.equal("no such file", [curl(BASE + x).status for x in ("/nothing", "/../etc/passwd", "/%2e%2e/etc/passwd", "//")],
                [404] * 4)
    CASES.equal("other methods", [curl(BASE + "/", "-X", m).status for m in ("POST", "PUT", "DELETE", "OPTIONS")], [405] * 4)
    CASES.equal("other methods on the API", [curl("/flows", "-X", m).status for m in ("POST", "PUT", "DELETE", "OPTIONS")], [405] * 4)
    head = curl("/status", "-I")
    CASES.check("HEAD", head.status == 200 and not head.body, head)


# --- the document -------------------------------------------------------------------------------------------------------

QUERIES = {"/api/v1/why": "to=203.0.113.9&port=443", "/api/v1/intel/check": "indicator=203.0.113.9",
           "/api/v1/who": "what=203.0.113.9", "/api/v1/flows": "limit=100&ended=true&sort=last",
           "/api/v1/top": "by=program&limit=10", "/api/v1/findings": "last=7d&low=1",
           "/api/v1/history/usage": "by=app&last=1h", "/api/v1/history/timeline": "last=1h", "/api/v1/history/flows": "last=1h"}
BODIES = {"/api/v1/findings/ack": {"entity": "/usr/bin/none", "peer": "none.example", "detector": "beacon", "for": "1h"},
          "/api/v1/findings/unack": {"number": 1},
          "/api/v1/policy/load": {"text": "audit to 203.0.113.9\ndefault allow\n", "mode": "watch"},
          "/api/v1/policy/confirm": {}, "/api/v1/policy/replay": {"text": "default allow\n", "last": "1h"},
          "/api/v1/policy/block": {"rule": "deny to 203.0.113.99", "for": "1h"},
          "/api/v1/policy/unblock": {"all": True}, "/api/v1/session": {}, "/api/v1/ask": {"ask": "status"}}


def the_document(n, d):
    n.python(f"import socket; s=socket.create_connection(('{S4}',7003)); s.send(b'x'*100); s.recv(99)")
    document = curl("/openapi.json").json()
    with open(os.path.join(lab.SOURCE, "docs", "openapi.json"), encoding="utf-8") as f:
        CASES.check("/openapi.json is docs/openapi.json", json.load(f) == document)
    # changes first, so that there is a policy to show
    todo = [(m, p) for p, ms in document["paths"].items() for m in ms]
    kept = lab.wait_for("the flow to be kept", lambda: curl("/history/flows?last=1h&filter=port:7003").json()["rows"])
    QUERIES["/api/v1/history/flow"] = f"id={kept[0]['flow_id']}"
    for method, path in sorted(todo, key=lambda x: x[0] == "get"):
        about = document["paths"][path][method]
        kind, = about["responses"]["200"]["content"]
        if kind == "text/event-stream":
            continue                        # live()
        if path.startswith("/api/v1/fleet/"):
            r = curl(BASE + path)           # console.py has those that answer
            CASES.check(f"{method} {path}: of a console alone", r.status == 400 and r.json()["error"], r)
            continue
        url = BASE + path + ("?" + QUERIES[path] if path in QUERIES else "")
        r = curl(url) if method == "get" else post(url, BODIES[path])
        CASES.check(f"{method} {path}: 200", r.status == 200 and r.headers["content-type"].startswith(kind), r)
        if kind == "application/json" and r.status == 200:
            try:
                jsonschema.validate(r.json(), about["responses"]["200"]["content"][kind]["schema"])
                wrong = None
            except (jsonschema.ValidationError, ValueError) as e:
                wrong = str(e)[:600]
            CASES.check(f"{method} {path}: as the document says", not wrong, wrong)
        wrong = curl(BASE + path + "?nothing=1") if method == "get" else post(BASE + path, {"nothing": 1})
        CASES.check(f"{method} {path}: an unknown parameter", wrong.status == 400 and ("nothing" in wrong.json()["error"] or path.endswith("/ask")), wrong)
    rows = curl("/flows?ended=1&filter=port:7003").json()["rows"]
    CASES.check("the flow that was made", len(rows) == 1 and rows[0]["dest_port"] == 7003, rows)
    lab.golden.check_schema(CASES, "/flows", [json.dumps(x).encode() for x in rows])
    small = curl("/findings/exceptions", "-H", "Accept-Encoding: gzip", "--compressed")
    large = curl("/openapi.json", "-H", "Accept-Encoding: gzip", "--compressed")
    CASES.equal("gzip where it pays", [small.headers.get("content-encoding"), large.headers.get("content-encoding")], [None, "gzip"])
    CASES.check("the errors of the daemon come through", "column" in curl("/flows?filter=port:x").json()["error"])


# --- who may ------------------------------------------------------------------------------------------------------------

def rights(n, d):
    def may(*more, who=(), via=None):
        """[status of a read, of a change], and how it says it knows."""
        where = ("--unix-socket", via) if via else ()
        read, change = curl("/status", *where, *more, who=who), post("/findings/unack", {"number": 1}, *where, *more, who=who)
        return [read.status, change.status], read.json().get("you", {}).get("how")

    sock = os.path.join(d.run_dir, "api.sock")
    CASES.equal("loopback: root", may(), ([200, 200], "loopback user root"))
    CASES.equal("loopback: a user in no group", may(who=NOBODY), ([401, 401], None))
    CASES.equal("loopback: group egret", may(who=MEMBER), ([200, 403], "loopback user games"))
    CASES.equal("socket: root", may(via=sock), ([200, 200], "socket user root"))
    group = ("setpriv", "--reuid=65533", "--regid=65533", "--groups=64321")
    CASES.equal("socket: group egret", may(who=group, via=sock), ([200, 403], "socket user 65533"))
    CASES.check("socket: a user in no group does not even connect", curl("/status", "--unix-socket", sock, who=NOBODY).curl != 0)

    read, change = d.token("--for", "1h"), d.token("--change")
    CASES.equal("token: reads", may(*bearer(read), who=NOBODY), ([200, 403], "token"))
    CASES.equal("token: changes", may(*bearer(change), who=NOBODY), ([200, 200], "token"))
    CASES.equal("token: group egret with one that changes", may(*bearer(change), who=MEMBER), ([200, 200], "token"))
    for name, wrong in (("wrong", "0" * 64), ("short", "abc"), ("empty", ""), ("long", "a" * 500), ("no hex", "x" * 64),
                        ("quotes", '","ask":"')):
        CASES.equal(f"token: {name}", may(*bearer(wrong), who=NOBODY), ([401, 401], None))
    CASES.equal("token: not in a query", curl(f"/status?token={read}", who=NOBODY).status, 400)
    CASES.equal("token: only as Bearer", curl("/status", "-u", f"egret:{read}", who=NOBODY).status, 401)
    link = d.egret("page")
    CASES.check("egret page: the address, the token behind the #", re.fullmatch(
        rf"http://127\.0\.0\.1:{PORT}/#token=[0-9a-f]{{64}}\n", link.stdout), link)
    for argv in (("--for", "1s"), ("--for", "99d"), ("--revoke", "--change"), ("x",)):
        CASES.equal(f"egret page {' '.join(argv)}: a wrong call", d.egret("page", *argv).returncode, 2)
    asked = subprocess.run([*group, lab.EGRET, "--run", d.run_dir, "page", "--change"], capture_output=True, text=True)
    CASES.check("egret page --change: not for group egret", asked.returncode == 1 and "not allowed" in asked.stderr, asked)
    asked = subprocess.run([*group, lab.EGRET, "--run", d.run_dir, "page"], capture_output=True, text=True)
    CASES.check("egret page: for group egret", asked.returncode == 0 and "#token=" in asked.stdout, asked)
    # over a restart they hold, and what has ended does not
    path = os.path.join(d.run_dir, "state", "tokens")
    CASES.equal("nobody else reads the file of tokens", os.stat(path).st_mode & 0o777, 0o600)
    with open(path, encoding="ascii") as f:
        text = f.read()
    CASES.check("no token is in it", read not in text and change not in text)
    with open(path, "w", encoding="ascii") as f:
        for line in text.splitlines():
            digest, until, kind = line.split()
            f.write(f"{digest} {until if kind == 'c' else 1} {kind}\n")
    d.stop()
    d.start()
    CASES.equal("after a restart: the one that changes holds", may(*bearer(change), who=NOBODY)[0], [200, 200])
    CASES.equal("a token that has ended", may(*bearer(read), who=NOBODY)[0], [401, 401])
    # cookies: for live views alone
    cookie = curl("/session", "-X", "POST", *CHANGE, "-d", "{}", *bearer(change), who=NOBODY)
    text = cookie.headers.get("set-cookie", "")
    CASES.check("a session: HttpOnly, SameSite=Strict, for live views alone", cookie.status == 200 and
                re.fullmatch(r"egret-live=[0-9a-f]{64}; Path=/api/v1/live; HttpOnly; SameSite=Strict; Max-Age=\d+", text), cookie)
    CASES.check("it is not the token", change not in text)
    jar = ("-H", "Cookie: " + text.split(";")[0])
    live = curl("/live/top", *jar, who=NOBODY, timeout=2)
    CASES.check("a session opens a live view", live.status == 200 and "event: top" in live.body, live)
    CASES.equal("a session reads and changes nothing else", may(*jar, who=NOBODY)[0], [401, 401])
    CASES.equal("a session without a right", curl("/session", "-X", "POST", *CHANGE, "-d", "{}", who=NOBODY).status, 401)
    CASES.equal("another's cookie", curl("/live/top", "-H", "Cookie: egret-live=" + "0" * 64, who=NOBODY, timeout=2).status, 401)
    # revoked: at once, live views too
    stream = subprocess.Popen([*NOBODY, "curl", "-sSN", "-m", "20", *bearer(change), API + "/live/events"],
                              stdout=subprocess.PIPE, text=True)
    stream.stdout.readline()
    revoked = d.egret("page", "--revoke")
    CASES.check("egret page --revoke", re.fullmatch(r"revoked: [1-9]\d*\n", revoked.stdout), revoked)
    begin = time.monotonic()
    stream.wait(20)
    CASES.check("revoked: the live view ends", time.monotonic() - begin < 5)
    CASES.equal("revoked: token and session", [may(*bearer(change), who=NOBODY)[0], curl("/live/top", *jar, who=NOBODY, timeout=2).status],
                [[401, 401], 401])


def nobody_becomes_root(d):
    """Of a socket that its owner has closed, the kernel says it were root's: a change must not get through that way."""
    code = ("import socket,sys\n"
            f"body=b'{{\"rule\":\"deny to 203.0.113.77\",\"for\":\"1h\"}}'\n"
            f"head=b'POST /api/v1/policy/block HTTP/1.1\\r\\nHost: 127.0.0.1:{PORT}\\r\\nX-Egret: 1\\r\\nContent-Type: application/json"
            "\\r\\nContent-Length: %d\\r\\n\\r\\n' % len(body)\n"
            "for i in range(40):\n"
            f"    s=socket.create_connection(('127.0.0.1',{PORT}),source_address=(f'127.8.0.{{i+1}}',0))\n"
            "    if i % 3 == 1: s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\\1\\0\\0\\0\\0\\0\\0\\0')\n"
            "    s.sendall(head+body)\n"
            "    if i % 3 == 2: s.shutdown(socket.SHUT_WR)\n"
            "    s.close()\n")
    pid = d.page()["pid"]

    def over():
        """No connection of theirs is left, on our side."""
        return not lab.must("ss", "-Htn", "state", "connected", "exclude", "time-wait", f"sport = :{PORT} and dst 127.8.0.0/16")

    for who, program, does in ((NOBODY, code, False), ((), code.replace("s.close()", "s.recv(99); s.close(); break"), True)):
        before = d.status()["policy"]["n_blocks"]
        if not does:
            os.kill(pid, signal.SIGSTOP)    # until only the kernel still knows of the other ends
        subprocess.run([*who, "/usr/bin/python3", "-c", program], check=True)
        if not does:
            lab.wait_for("closed ends", lambda: lab.must("ss", "-Htn", "state", "fin-wait-2", "src 127.8.0.0/16").count("\n") > 20)
            os.kill(pid, signal.SIGCONT)
        lab.wait_for("all of them to be over", over)
        lab.wait_for("egretd to be left alone", lambda: d.status()["clients"] == 1)
        after = d.status()["policy"]["n_blocks"]
        CASES.check("root's change: it is made" if does else "40 changes of a user who hangs up at once: none is made",
                    (after > before) == does, before, after)


# --- other sites, hostile clients ---------------------------------------------------------------------------------------

def other_sites(d):
    body = {"rule": "deny to 203.0.113.60", "for": "1h"}
    for host in ("evil.example", f"evil.example:{PORT}", "127.0.0.1.evil.example", "localhost.evil.example", "[::1]", "0.0.0.0", "127.0.0.2"):
        CASES.equal(f"DNS rebinding: Host {host}", [curl("/status", "-H", f"Host: {host}").status,
                                                    curl(BASE + "/", "-H", f"Host: {host}").status], [403, 403])
    for host in (f"localhost:{PORT}", "127.0.0.1", "localhost:9999"):
        CASES.equal(f"Host {host}", curl("/status", "-H", f"Host: {host}").status, 200)
    CASES.equal("no Host", http(b"GET /api/v1/status HTTP/1.1\r\n\r\n", stop=b"\r\n")[9:12], b"400")
    CASES.equal("two Hosts", http(get("/api/v1/status", "Host: evil.example"), stop=b"\r\n")[9:12], b"400")
    own = f"http://127.0.0.1:{PORT}"
    for origin in ("http://evil.example", "null", "https://127.0.0.1:8710", "http://127.0.0.1:9999", "http://localhost:8710", own + "0"):
        r = post("/policy/block", body, "-H", f"Origin: {origin}")
        CASES.check(f"CSRF: Origin {origin}", r.status == 403 and "another site" in r.body, r)
    CASES.equal("our own Origin", post("/policy/block", body, "-H", f"Origin: {own}").status, 200)
    CASES.equal("Sec-Fetch-Site", [curl("/status", "-H", f"Sec-Fetch-Site: {x}").status for x in
                                   ("cross-site", "same-site", "same-origin", "none")], [403, 403, 200, 200])
    data = json.dumps(body)
    for name, more in (("no X-Egret", CHANGE[2:]), ("no type", CHANGE[:2]), ("a form", (*CHANGE[:2], "-H", "Content-Type: text/plain")),
                       ("a form of fields", (*CHANGE[:2], "-F", "rule=deny"))):
        r = curl("/policy/block", "-X", "POST", *more, *(() if "-F" in more else ("-d", data)))
        CASES.equal(f"CSRF: {name}", r.status, 403)
    CASES.equal("a change by GET", curl("/policy/block?rule=deny", *CHANGE).status, 405)


def hostile(d):
    huge = "x" * 300_000
    CASES.equal("a query over 4 KiB", curl("/flows?filter=" + "a" * 5000).status, 400)
    CASES.check("a head over 16 KiB", curl("/status", "-H", "X-Long: " + "a" * 20000).status in (413, 414, 431))
    CASES.check("an address over 16 KiB", http(get("/" + "a" * 40000), stop=b"\r\n")[9:12] in (b"414", b"431", b"413"))
    path = os.path.join(d.run_dir, "huge")
    with open(path, "w", encoding="ascii") as f:
        f.write(json.dumps({"text": huge, "mode": "watch"}))
    CASES.equal("a body over 256 KiB", curl("/policy/load", "-X", "POST", *CHANGE, "--data-binary", "@" + path).status, 413)
    CASES.equal("the same in chunks", curl("/policy/load", "-X", "POST", *CHANGE, "-H", "Transfer-Encoding: chunked",
                                           "--data-binary", "@" + path).status, 413)
    for name, body in (("not JSON", "{"), ("an array", "[]"), ("deep", "[" * 100_000), ("two keys", '{"rule":"a","rule":"b"}'),
                       ("no UTF-8", b'{"rule":"\xff"}'), ("NUL", '{"rule":"a\\u0000b"}'), ("a number", '{"rule":7e99}')):
        r = curl("/policy/block", "-X", "POST", *CHANGE, "--data-binary", body)
        CASES.check(f"a body that is no good: {name}", r.status == 400 and r.json()["error"], r)
    CASES.equal("a body that is announced and does not come", http(
        get("/api/v1/policy/block").replace(b"GET", b"POST")[:-2] + b"X-Egret: 1\r\nContent-Type: application/json\r\n"
        b"Content-Length: 99999999999\r\n\r\n", stop=b"\r\n")[9:12], b"413")
    for i, bytes_ in enumerate((os.urandom(5000), b"\0" * 5000, b"\r\n" * 5000, b"GET / HTTP/9.9\r\n\r\n", b"GET\r\n\r\n",
                                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + os.urandom(500),
                                get("/api/v1/status", "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\nGET /x",
                                get("/api/v1/flows?filter=%00%0a%0d%ff"), get("/api/v1/flows?%=%&=&=%zz"),
                                b"POST /api/v1/policy/block HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFFF\r\n")):
        with connect(source=f"127.0.1.{i + 1}") as s:
            s.settimeout(3)
            try:
                s.sendall(bytes_)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except OSError:
                pass
    CASES.equal("after rubbish it still answers", curl("/status").status, 200)
    # one address: 64 connections, 50 requests a second after the first 200; others do not feel it
    held = []
    for _ in range(80):
        s = connect(source="127.0.0.5")
        s.settimeout(2)
        held.append(s)

    def answers(s):
        try:
            s.sendall(get("/"))
            return s.recv(100).startswith(b"HTTP/1.1 200")
        except OSError:
            return False
    good = sum(answers(s) for s in held)
    CASES.check("80 connections of one address: 64 are served", good == 64, good)
    for s in held:
        s.close()
    codes = []
    with connect(source="127.0.0.9") as s:
        while len(codes) < 1000 and codes[-1:] != [b"429"]:
            s.sendall(get("/favicon.ico"))
            codes.append(s.recv(65536)[9:12])
        ended = s.recv(65536) == b""
    CASES.check("as many requests as it can: some 200 are answered, then it has to wait, and is cut off", 199 <= codes.count(b"404") <= 300 and
                codes[-1] == b"429" and ended, len(codes), codes[-5:])
    CASES.equal("another address meanwhile", http(get("/api/v1/filter/keys"), source="127.0.0.11", stop=b"\r\n")[9:12], b"200")
    CASES.equal("nothing of that ended the process", d.page()["starts"], 1)


class SlowLoris:
    """Heads that never end and bodies that drip, from before the other scenarios until they are cut off."""

    def __init__(self):
        head = get("/api/v1/status")[:-2]
        body = (b"POST /api/v1/policy/block HTTP/1.1\r\nHost: localhost\r\nX-Egret: 1\r\nContent-Type: application/json\r\n"
                b"Content-Length: 5000\r\n\r\n")
        self.open = []
        for i in range(20):
            s = connect(source="127.0.2.1")
            s.sendall(head if i % 2 else body)
            self.open.append(s)
        self.begin, self.last = time.monotonic(), None
        self.thread = threading.Thread(target=self.drip)
        self.thread.start()

    def drip(self):
        while self.open and time.monotonic() - self.begin < 60:
            time.sleep(0.5)
            for s in list(self.open):
                try:
                    s.sendall(b"X")
                except OSError:
                    self.open.remove(s)
                    self.last = time.monotonic() - self.begin

    def end(self):
        self.thread.join()
        CASES.check("20 clients that drip their request are cut off in time", not self.open and 9 < self.last < 25,
                    len(self.open), self.last)


# --- live views ---------------------------------------------------------------------------------------------------------

def live(n, d):
    pid = d.page()["pid"]
    before = rss(pid)
    streams = []
    for i in range(500):
        s = connect(source=f"127.0.3.{1 + i // 50}")
        s.sendall(get("/api/v1/live/top?by=program" if i % 2 else "/api/v1/live/top?by=name"))
        s.settimeout(10)
        streams.append(s)
    late = []
    for turn in range(3):
        begin = time.monotonic()
        for s in streams:
            got = b""
            while b"event: top" not in got or not got.endswith(b"\r\n"):
                part = s.recv(65536)
                if not part:
                    break
                got += part
            if b"event: top" not in got:
                late.append(turn)
        if turn:
            CASES.check(f"500 live views, second {turn}: all heard within 2 s", time.monotonic() - begin < 2, time.monotonic() - begin)
    CASES.equal("500 live views: all heard each time", late, [])
    status, full = d.status(), rss(pid)
    print(f"500 live views: the page's process has {full} KiB, {before} KiB before; clients of egretd: {status['clients']}")
    CASES.check("500 live views: little memory", full < 40_000, full)
    CASES.check("500 live views: two questions to egretd", status["clients"] <= 5, status["clients"])
    for s in streams:
        s.close()
    lab.wait_for("egretd to be left alone", lambda: d.status()["clients"] == 1)
    # different questions: 8, and room again when one ends
    streams = []
    for i in range(8):
        s = connect(source="127.0.3.20")
        s.sendall(get(f"/api/v1/live/top?filter=port:{i + 1}"))
        streams.append(s)
    for s in streams:
        while b"event: top" not in s.recv(65536):
            pass
    ninth = curl("/live/top?filter=port:9", timeout=3)
    CASES.check("a ninth question: 503", ninth.status == 503 and "8 different" in ninth.body, ninth)
    CASES.equal("the command line still has its own", d.egret("top", "--once").returncode, 0)
    streams[0].close()
    lab.wait_for("room for another", lambda: curl("/live/top?filter=port:9", timeout=2).status == 200)
    for s in streams:
        s.close()
    CASES.check("a live view with a mistake: 400", "column" in curl("/live/events?filter=port:x", timeout=3).json()["error"])
    # records as they happen
    s = connect(source="127.0.3.21")
    s.sendall(get("/api/v1/live/events?types=flow&filter=port:7003"))
    s.settimeout(20)
    got = s.recv(65536)
    n.python(f"import socket; s=socket.create_connection(('{S4}',7003)); s.send(b'x'*100); s.recv(99)")
    while b'"dest_port":7003' not in got:
        got += s.recv(65536)
    CASES.check("a record as an event of its name", b"event: flow\ndata: {" in got, got[-600:])
    s.close()
    lab.wait_for("egretd to be left alone", lambda: d.status()["clients"] == 1)


# --- life and death -----------------------------------------------------------------------------------------------------

def deaths(n, d):
    pid = d.page()["pid"]
    stream = subprocess.Popen(["curl", "-sSN", "-m", "20", API + "/live/top"], stdout=subprocess.PIPE, text=True)
    stream.stdout.readline()
    os.kill(pid, signal.SIGKILL)
    lab.wait_for("the page's process anew", lambda: d.page().get("starts", 0) > 1 and curl("/status").status == 200, 10)
    CASES.check("killed: said and started again", "was ended by signal 9; it is started again in 1 s" in d.messages())
    CASES.check("another process", d.page()["pid"] != pid)
    stream.wait(20)
    # egretd stands still: whoever asks is told after a while, and it goes on
    pid = d.page()["pid"]
    d.child.send_signal(signal.SIGKILL)
    d.child.wait()
    lab.wait_for("the page's process to end with egretd", lambda: not os.path.exists(f"/proc/{pid}") or "Z" in proc(pid, "stat").split()[2], 5)
    CASES.check("egretd killed: nobody answers", curl("/status").curl == 7)
    d.start()
    CASES.equal("egretd again: over the socket that was left", [curl("/status").status, d.page()["starts"]], [200, 1])
    # while egretd does not answer
    d.child.send_signal(signal.SIGSTOP)
    waiting = subprocess.Popen(["curl", "-sS", "-i", "-m", "90", API + "/status"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    CASES.equal("egretd stands still: the page itself is served", curl(BASE + "/").status, 200)
    d.child.send_signal(signal.SIGCONT)
    out, _ = waiting.communicate(timeout=60)
    CASES.check("and goes on: the answer comes", out.startswith("HTTP/1.1 200"), out[:200])
    # a port that is taken
    second = lab.Daemon(n, conf=f"page 127.0.0.1:{PORT}\n")
    lab.wait_for("what it says of its page", lambda: "no page at" in second.messages())
    page = json.loads(second.egret("status", "--json").stdout)["page"]
    CASES.check("a port that is taken: said, and it goes on", "another program listens" in page["error"] and not page["listens"], page)
    lab.wait_for("its socket", lambda: curl("/status", "--unix-socket", os.path.join(second.run_dir, "api.sock")).status == 200)
    link = second.egret("page")
    CASES.check("egret page then: says why not", link.returncode == 1 and "another program" in link.stderr, link)
    second.stop()
    CASES.check("its socket goes with it", not os.path.exists(os.path.join(second.run_dir, "api.sock")))
    off = lab.Daemon(n)
    CASES.equal("page off", [json.loads(off.egret("status", "--json").stdout)["page"], off.egret("page").returncode], [{"on": False}, 1])
    off.stop()


# --- off loopback -------------------------------------------------------------------------------------------------------

def make_certificates(tmp):
    def openssl(*argv):
        lab.must("openssl", *argv, cwd=tmp)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    for ca in ("ca", "otherca"):
        openssl("req", "-x509", *key, "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-subj", f"/CN={ca}")
    for name, ca in (("server", "ca"), ("client", "ca"), ("stranger", "otherca")):
        openssl("req", *key[:-2], "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        with open(os.path.join(tmp, "ext"), "w", encoding="ascii") as f:
            f.write(f"subjectAltName=IP:{C4}\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", "2",
                "-extfile", "ext", "-out", f"{name}.pem")


def tls(n):
    t = n.tmp
    make_certificates(t)
    for name in ("server.key", "client.key"):
        os.chmod(os.path.join(t, name), 0o600)

    def test(page):
        path = os.path.join(t, "test.conf")
        with open(path, "w", encoding="ascii") as f:
            f.write(page + "\npolicy off\n")
        return subprocess.run([EGRETD, "-T", "-c", path], capture_output=True, text=True)

    pair = f'tls "{t}/server.pem" "{t}/server.key"'
    CASES.equal("-T: off loopback with TLS", test(f"page {C4}:8443 {pair}").returncode, 0)
    for name, page, words in (("off loopback without TLS", f"page {C4}:8443", "off loopback the page needs tls"),
                              ("everywhere without TLS", "page 0.0.0.0:8443", "off loopback the page needs tls"),
                              ("no such file", f'page {C4}:8443 tls "{t}/none.pem" "{t}/server.key"', "cannot read"),
                              ("another's key", f'page {C4}:8443 tls "{t}/server.pem" "{t}/client.key"', "is not that of"),
                              ("a key that is none", f'page {C4}:8443 tls "{t}/server.pem" "{t}/ext"', "holds no key"),
                              ("a CA that is none", f'page {C4}:8443 {pair} client-ca "{t}/ext"', "holds no certificate")):
        done = test(page)
        CASES.check(f"-T: {name}", done.returncode == 1 and words in done.stderr, done)
    d = lab.Daemon(n, conf=f'page {C4}:8443 {pair} client-ca "{t}/ca.pem"\n')
    lab.wait_for("the page's process", lambda: json.loads(d.egret("status", "--json").stdout)["page"].get("running"))
    base = f"https://{C4}:8443/api/v1"

    def far(path, *more, body=None):
        """From the other machine; [status, body]."""
        change = ("-X", "POST", *CHANGE, "-d", json.dumps(body)) if body else ()
        out = n.run("curl", "-sS", "-i", "-m", "10", "--cacert", f"{t}/ca.pem", *more, *change, base + path, ns=n.server, watched=False,
                    check=False)
        m = re.match(r"HTTP/1.1 (\d+)", out)
        return int(m.group(1)) if m else 0, out

    lab.wait_for("TLS to be served", lambda: far("/status")[0])
    block = {"rule": "deny to 203.0.113.50", "for": "1h"}
    mine = ("--cert", f"{t}/client.pem", "--key", f"{t}/client.key")
    other = ("--cert", f"{t}/stranger.pem", "--key", f"{t}/stranger.key")
    tokens = [json.loads(d.egret("page", "--json", *x).stdout) for x in ((), ("--change",))]
    CASES.check("egret page: https", tokens[0]["url"].startswith(f"https://{C4}:8443/#token="), tokens[0])
    CASES.equal("from elsewhere: nobody", [far("/status")[0], far("/policy/block", body=block)[0]], [401, 401])
    CASES.equal("a token that reads", [far("/status", *bearer(tokens[0]["token"]))[0],
                                       far("/policy/block", *bearer(tokens[0]["token"]), body=block)[0]], [200, 403])
    CASES.equal("a token that changes", far("/policy/block", *bearer(tokens[1]["token"]), body=block)[0], 200)
    got = far("/status", *mine)
    CASES.check("a client certificate reads", got[0] == 200 and '"how":"certificate client"' in got[1], got)
    CASES.equal("it changes nothing", far("/policy/block", *mine, body=block)[0], 403)
    CASES.check("one that another CA signed", far("/status", *other)[0] in (0, 401), far("/status", *other))
    time.sleep(2)
    session = n.run("curl", "-sS", "-i", "-m", "10", "--cacert", f"{t}/ca.pem", "-X", "POST", *CHANGE, "-d", "{}", *bearer(tokens[0]["token"]),
                    base + "/session", ns=n.server, watched=False)
    CASES.check("the cookie is Secure", "; Secure" in session, session)
    plain = n.run("curl", "-sS", "-m", "5", f"http://{C4}:8443/", ns=n.server, watched=False, check=False)
    CASES.check("no plain HTTP there", "HTTP/1" not in plain and "curl:" in plain, plain)
    old = n.run("curl", "-sS", "-k", "-m", "5", "--tls-max", "1.1", base + "/status", ns=n.server, watched=False, check=False)
    CASES.check("no TLS 1.1", "curl:" in old, old)
    live_view = n.run("curl", "-sSN", "-m", "4", "--cacert", f"{t}/ca.pem", *bearer(tokens[0]["token"]), base + "/live/top", ns=n.server,
                      watched=False, check=False)
    CASES.check("a live view over TLS", live_view.count("event: top") >= 3, live_view[:300])
    page = json.loads(d.egret("status", "--json").stdout)["page"]
    CASES.check("status: TLS, one start", page["tls"] and page["starts"] == 1, page)
    d.stop()


def main():
    lab.need(CASES, "curl", "openssl", "setpriv")
    n = lab.Lab("web")
    try:
        with open(f"/run/netns/{n.client}", encoding="ascii") as f:
            if ctypes.CDLL(None, use_errno=True).setns(f.fileno(), CLONE_NEWNET) < 0:
                raise OSError(ctypes.get_errno(), "setns")
        os.chmod(n.tmp, 0o755)
        n.echo(7003)
        d = Daemon(n, conf=f"page 127.0.0.1:{PORT}\nstore sqlite\n")
        os.chmod(d.run_dir, 0o755)
        slow = SlowLoris()
        for scenario, args in ((the_process, (d,)), (the_page, (d,)), (the_document, (n, d)), (other_sites, (d,)), (hostile, (d,)),
                               (live, (n, d)), (slow.end, ()), (rights, (n, d)), (nobody_becomes_root, (d,)), (deaths, (n, d)),
                               (tls, (n,))):
            try:
                begin = time.monotonic()
                scenario(*args)
                print(f"{scenario.__name__}: {time.monotonic() - begin:.1f} s")
            except (RuntimeError, TimeoutError, subprocess.SubprocessError, OSError, ValueError, LookupError) as e:
                CASES.check(scenario.__name__, False, repr(e), traceback.format_exc(limit=-3))
        CASES.equal("ends well", d.stop(), 0)
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
