#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`egretd --console` without any right over a real ClickHouse (Debian's, one server) with rows of three hosts, asked by curl and by
`egret --console`: who may, what a console has not, what goes wrong on the way; and an ordinary egretd asked in the same way."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import clickhouse_rig
import lab
from guarded import Guarded
from lab import S4

CASES = lab.golden.Cases()
PORT, PAGE, CUT = 8720, 8721, 8722
CHROMIUM = "chromium-headless-shell"
URL = f"https://127.0.0.1:{PORT}"
STRANGER = ("setpriv", "--reuid=65533", "--regid=65533", "--clear-groups")
NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
HOSTS = ("db-1", "web-1", "web-2")
# Answers that lack their end: a row and no more; a chunk that is promised and never comes.
LIAR = """
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        row = b'{"app":"/usr/bin/curl","flows":1,"up":1,"down":1}\\n{"app":"/half'
        self.wfile.write(b"%x\\r\\n%s\\r\\n" % (len(row), row))
        if "cut" in self.path:
            self.close_connection = True
        else:
            self.wfile.write(b"0\\r\\n\\r\\n")
    def log_message(self, *a): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
"""


def address(text):
    return f"toFixedString(IPv6StringToNum('::ffff:{text}'), 16)"


def fill(c):
    """Two flows a host, one of them to a name that all three know; a finding on two of them; how each is."""
    now = int(time.time())
    for i, host in enumerate(HOSTS):
        for k, (name, peer, exe, up) in enumerate((("all.example.org", "203.0.113.9", "/usr/bin/curl", 1000), (f"{host}.example.net", f"198.51.100.{i}", "/usr/bin/wget", 50))):
            t = now - 600 - 10 * k
            c.must(f"INSERT INTO egret.flow_1 (ts, host, boot, flow_id, seq, ends, start_us, from_us, to_us, proto, our_ip, our_port, peer_ip, peer_port, "
                   f"up_bytes, down_bytes, up_packets, down_packets, direction, app, exe, exe_state, comm, pid, name, name_source, names, user) "
                   f"SELECT toDateTime({t}), '{host}', 7, {100 * i + k + 1}, 0, 1, {t - 5}000000, {t - 5}000000, {t}000000, 6, {address(f'10.0.0.{i + 1}')}, 40000, "
                   f"{address(peer)}, 443, {up + i}, 70000, 10, 50, 0, 'tls', '{exe}', 1, '{os.path.basename(exe)}', 42, '{name}', 'dns', ['{name}'], 'alice'")
        if host != "db-1":
            record = json.dumps({"timestamp": "2026-01-01T00:00:00.000000+0000", "event_type": "alert", "host": host, "dest_ip": "203.0.113.9", "proto": "TCP",
                                 "alert": {"severity": 1, "signature": "beacon"},
                                 "egret": {"finding": {"id": f"case000{i}", "state": "opened", "level": "high", "class": "c2", "detector": "beacon", "score_db": 31,
                                                       "entity": "/usr/bin/curl", "peer": "all.example.org", "explain": f"{host} asks each minute", "evidence": []}}})
            c.must(f"INSERT INTO egret.finding_1 (ts, host, boot, time_us, id, state, level, class, detector, score_db, acked, entity, peer, name, peer_ip, record) "
                   f"SELECT toDateTime({now - 500}), '{host}', 7, {now - 500}000000, 'case000{i}', 'open', 'high', 'c2', 'beacon', 31, 0, '/usr/bin/curl', "
                   f"'all.example.org', 'all.example.org', {address('203.0.113.9')}, '{record}'")
        c.must(f"INSERT INTO egret.host_1 (ts, host, boot, time_us, version, watch, policy_mode, policy_file, policy_rules, uptime_s, flows, lost, lost_spool, waiting, "
               f"spool_bytes) SELECT toDateTime({now - 60}), '{host}', 7, {now - 60}000000, '0.1.0', 'host', 'enforce', '/etc/egret/policy.egret', 3, 4000, 2, {5 * (i == 0)}, 0, 0, 1000")


class Cluster(clickhouse_rig.Cluster):
    def must(self, sql):
        said = self.ask(sql)
        if said:
            raise RuntimeError(f"{sql[:80]}: {said}")


class Console:
    """egretd --console as nobody, with folders and certificates of its own."""

    def __init__(self, n, cluster):
        self.n, self.dir, self.url = n, os.path.join(n.tmp, "console"), f"http://127.0.0.1:{clickhouse_rig.PORT}"
        os.chmod(n.tmp, 0o755)
        for name in ("", "run", "state"):
            os.makedirs(os.path.join(self.dir, name), exist_ok=True)
            shutil.chown(os.path.join(self.dir, name), "nobody", "nogroup")
        self.ns, self.made = cluster.ns, 0
        self.egretd = shutil.copy(lab.EGRETD, os.path.join(n.tmp, "egretd"))    # the build's folder may be nobody's business
        self.egret = shutil.copy(lab.EGRET, os.path.join(n.tmp, "egret"))
        self.certificates()
        self.conf = self.write("console.conf", f"url \"{self.url}\"")
        self.child = None

    def path(self, name):
        return os.path.join(self.dir, name)

    def certificates(self):
        def certificate(name, *more):
            lab.must("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                     "-keyout", self.path(name + ".key"), "-out", self.path(name + ".crt"), "-subj", f"/CN={name}", *more)
            os.chmod(self.path(name + ".key"), 0o644)   # of a test's days; the stranger shows one of them
        certificate("console.example", "-addext", "subjectAltName=IP:127.0.0.1,DNS:console.example")
        certificate("other")
        certificate("ca", "-addext", "basicConstraints=critical,CA:TRUE")
        with open(self.path("auditor.csr"), "wb") as f:
            f.write(subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                                    self.path("auditor.key"), "-subj", "/CN=auditor"], capture_output=True, check=True).stdout)
        lab.must("openssl", "x509", "-req", "-in", self.path("auditor.csr"), "-CA", self.path("ca.crt"), "-CAkey", self.path("ca.key"),
                 "-days", "2", "-out", self.path("auditor.crt"))

    def write(self, name, store, run="run", port=PORT, more=""):
        path = self.path(name)
        with open(path, "w", encoding="ascii") as f:
            f.write(f'run "{self.path(run)}"\nstate "{self.path("state")}"\n{f"store clickhouse {{ {store} }}" if store else ""}\n'
                    f'page 127.0.0.1:{port} tls "{self.path("console.example.crt")}" "{self.path("console.example.key")}" client-ca "{self.path("ca.crt")}"\n{more}')
        return path

    def inside(self, *argv):
        return ["nsenter", f"--net=/run/netns/{self.ns}", *map(str, argv)]

    def run(self, *argv, who=(), env=None, timeout=60):
        return subprocess.run(self.inside(*who, *argv), capture_output=True, text=True, timeout=timeout, env=dict(os.environ, **(env or {})))

    def daemon(self, *argv):
        return self.run(*NOBODY, self.egretd, "--console", *argv)

    def start(self):
        self.child = self.n.start(*NOBODY, self.egretd, "--console", "--foreground", "--config", self.conf, ns=self.ns,
                                  ready=lambda _: self.n.listens("t", PORT, self.ns), log="console.log")

    def log(self):
        with open(self.child.log, encoding="utf-8") as f:
            return f.read()

    def token(self):
        """Made on the machine of the console, by root; a file that the stranger alone may read."""
        self.made += 1
        path = self.path(f"token{self.made}")
        text = json.loads(self.run(self.egret, "--run", self.path("run"), "page", "--json").stdout)["token"]
        with open(path, "w", encoding="ascii") as f:
            f.write(text + "\n")
        os.chmod(path, 0o600)
        os.chown(path, 65533, 65533)
        return path, text

    def curl(self, path, *more, who=STRANGER):
        """(status, body)"""
        done = self.run("curl", "-sS", "-m", "20", "--cacert", self.path("console.example.crt"), "-w", "\n%{http_code}", *more, URL + path, who=who)
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), body

    def ask(self, *argv, url=URL, token=None, ca="console.example.crt", **kw):
        options = ["--console", url, *(["--token-file", token] if token else []), *(["--ca", self.path(ca)] if ca else [])]
        return self.run(self.egret, *options, *argv, who=STRANGER, **kw)

    def fails(self, name, words, *argv, **kw):
        done = self.ask(*argv, **kw)
        CASES.check(name, done.returncode == 1 and words in done.stderr and not done.stdout.strip(), done)
        return done


def starting(k):
    """What is no console, and what stands in its way."""
    done = k.daemon("--foreground", "--config", k.write("bare.conf", ""))
    CASES.check("without a ClickHouse it does not start, and says so", done.returncode == 1 and "no statement 'store clickhouse'" in done.stderr, done)
    CASES.check("-T of a console's configuration", k.daemon("-T", "--config", k.conf).stdout == f"{k.conf}: ok\n")
    k.start()
    CASES.check("the program is nobody's, without capabilities", rights_of(k.child.pid) == (["65534"] * 4, True), rights_of(k.child.pid))
    done = k.daemon("--foreground", "--config", k.conf)
    CASES.check("a second one in the same folder", done.returncode == 1 and "another egretd answers" in done.stderr, done)
    os.makedirs(k.path("run2"), exist_ok=True)
    shutil.chown(k.path("run2"), "nobody", "nogroup")
    done = k.daemon("--foreground", "--config", k.write("second.conf", f'url "{k.url}"', run="run2"))
    CASES.check("a second one at the same address", done.returncode == 1 and "another program listens at that address" in done.stderr, done)


def rights_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        rows = dict(x.split(":\t", 1) for x in f.read().splitlines() if ":\t" in x)
    return rows["Uid"].split("\t"), all(int(rows[c], 16) == 0 for c in ("CapEff", "CapPrm", "CapInh", "CapAmb"))


def who_may(k, text):
    bearer = ("-H", f"Authorization: Bearer {text}")
    CASES.equal("a stranger without a token", k.curl("/api/v1/status")[0], 401)
    CASES.equal("a stranger with a wrong one", k.curl("/api/v1/status", "-H", "Authorization: Bearer " + "0" * 64)[0], 401)
    CASES.equal("with a token", k.curl("/api/v1/status", *bearer)[0], 200)
    CASES.equal("root on that machine", k.curl("/api/v1/status", who=())[0], 200)
    status, body = k.curl("/api/v1/status", "--cert", k.path("auditor.crt"), "--key", k.path("auditor.key"), who=())
    CASES.check("with a client certificate", status == 200 and "you" in json.loads(body), body)
    CASES.equal("another CA's certificate does not", k.curl("/api/v1/status", "--cert", k.path("other.crt"), "--key", k.path("other.key"))[0], 401)
    status, body = k.curl("/")
    CASES.check("the page itself is for all", status == 200 and "app.js" in body, body[:200])
    return bearer


def questions(k, bearer):
    """The API over three hosts; what is not there is said, and never an empty list."""
    def get(path):
        status, body = k.curl("/api/v1" + path, *bearer)
        return json.loads(body) if status == 200 else (status, body)

    status = lab.wait_for("ClickHouse to be asked", lambda: (s := get("/status"))["clickhouse"].get("answers") and s, 40)
    CASES.equal("status", (status["console"], status["clickhouse"]["url"], status["clickhouse"]["hosts"], status["you"]["how"]), (True, k.url, 3, "token"))
    CASES.check("of what it does not watch it says nothing", not {"flows_now", "lost_total", "policy"} & set(status), status)
    rows = get("/fleet/hosts")["rows"]
    CASES.equal("hosts", [(r["host"], r["version"], r["policy_mode"], r["lost"]) for r in rows], [(h, "0.1.0", "enforce", 5 * (h == "db-1")) for h in HOSTS])
    CASES.equal("some hosts", [r["host"] for r in get("/fleet/hosts?filter=host:web-*")["rows"]], ["web-1", "web-2"])
    rows = get("/fleet/findings")["rows"]
    CASES.equal("a case that two hosts show", [(r["peer"], r["detector"], r["level"], r["hosts"], r["some_hosts"]) for r in rows],
                [("all.example.org", "beacon", "high", 2, ["web-1", "web-2"])])
    CASES.equal("findings, each host's", sorted(r["host"] for r in get("/findings")["rows"]), ["web-1", "web-2"])
    CASES.equal("usage by host", {r["host"]: r["up"] for r in get("/history/usage?by=host&last=1h")["rows"]}, {h: 1050 + 2 * i for i, h in enumerate(HOSTS)})
    CASES.equal("usage of some hosts", {r["app"]: r["up"] for r in get("/history/usage?filter=host:web-*&last=1h")["rows"]},
                {"/usr/bin/curl": 2003, "/usr/bin/wget": 103})
    long = get("/history/usage?by=host,name&last=24h&filter=host:web-*")
    CASES.equal("hosts and names of a day, from sums", (long["source"], {h: sum(r["up"] for r in long["rows"] if r["host"] == h) for h in HOSTS}),
                ("hours", {h: (1050 + 2 * i) * h.startswith("web-") for i, h in enumerate(HOSTS)}))
    rows = get("/history/flows?last=1h&filter=host:db-1")["rows"]
    CASES.equal("flows of one", sorted((r["host"], r["egret"]["name"]) for r in rows), [("db-1", "all.example.org"), ("db-1", "db-1.example.net")])
    absent(k, bearer)


def absent(k, bearer):
    post = ("-X", "POST", "-H", "X-Egret: 1", "-H", "Content-Type: application/json")
    for path, words in (("/flows", "living"), ("/top", "living"), ("/live/top", "living"), ("/live/events", "living"), ("/policy", "policy of its own"),
                        ("/policy/quota", "policy of its own"), ("/why?to=example.org", "policy of its own"), ("/intel", "detects nothing")):
        status, body = k.curl("/api/v1" + path, *bearer)
        CASES.check(f"501: {path}", status == 501 and words in json.loads(body)["error"], (status, body[:300]))
    for path, body in (("/policy/block", {"rule": "deny to 203.0.113.9"}), ("/policy/load", {"text": "default deny\n", "mode": "watch"}), ("/findings/ack", {"id": "case0001"})):
        status, said = k.curl("/api/v1" + path, *post, "-d", json.dumps(body), who=())
        CASES.check(f"501 even for root: {path}", status == 501, (status, said))
    for body, want in (({"ask": "status"}, 200), ({"ask": "history", "do": "usage", "last": 3600}, 200), ({"ask": "flows"}, 501), ({"ask": "events"}, 400),
                       ({"ask": "page", "do": "link"}, 400), ({"ask": "policy", "do": "load", "mode": "watch"}, 400), ({"ask": "status", "certificate": "x"}, 400)):
        status, said = k.curl("/api/v1/ask", *post, "-d", json.dumps(body), *bearer)
        CASES.check(f"{want}: a line {body}", status == want, (status, said[:300]))
    CASES.equal("a line needs what each change needs", k.curl("/api/v1/ask", "-d", '{"ask":"status"}', *bearer)[0], 403)


def command_line(k, token):
    def text(*argv, **kw):
        done = k.ask(*argv, token=token, **kw)
        return done.stdout if done.returncode == 0 else repr(done)

    for name, want, argv in (
            ("status", "a console", ["status"]),
            ("flows", "all.example.org", ["flows", "--last", "1h"]),
            ("flows, each with its host", "HOST", ["flows", "--last", "1h"]),
            ("flows of some hosts", "web-2.example.net", ["flows", "--last", "1h", "host:web-*"]),
            ("flows as CSV", "web-1.example.net", ["flows", "--last", "1h", "--csv"]),
            ("flows as CSV, each with its host", ",web-1\n", ["flows", "--last", "1h", "--csv"]),
            ("usage", "/usr/bin/curl", ["usage", "--last", "1h", "--by", "app"]),
            ("usage by host", "db-1", ["usage", "--last", "1h", "--by", "host"]),
            ("timeline", "up", ["timeline", "--last", "1h"]),
            ("who", "203.0.113.9", ["who", "--last", "1h", "all.example.org"]),
            ("findings", "web-1  case0001", ["findings"]),
            ("finding", "web-1 asks each minute", ["finding", "case0001"]),
            ("fleet findings", "web-1, web-2", ["fleet", "findings"]),
            ("fleet status", "3 machines, 0 of them silent, 1 with losses", ["fleet", "status"])):
        said = text(*argv)
        CASES.check(f"egret --console: {name}", want in said, said)
    CASES.equal("by the environment alone", json.loads(k.run(k.egret, "status", "--json", who=STRANGER, env={
        "EGRET_CONSOLE": URL + "/", "EGRET_TOKEN_FILE": token, "SSL_CERT_FILE": k.path("console.example.crt")}).stdout)["console"], True)
    CASES.equal("the token as a credential of systemd", json.loads(k.ask("status", "--json", token=os.path.basename(token), env={
        "CREDENTIALS_DIRECTORY": k.dir}).stdout)["you"]["how"], "token")
    rows = [json.loads(x) for x in text("usage", "--last", "1h", "--by", "host", "--json").splitlines()]
    CASES.check("--json is lines and an end", len(rows) == 4 and rows[-1]["end"] is True, rows)
    k.fails("living flows", "no living flows", "flows", token=token)
    k.fails("a policy", "no policy of its own", "policy", "show", token=token)
    for argv in (["top"], ["exec", "--", "true"], ["read", "x"], ["block", "203.0.113.9"], ["disarm"], ["page"], ["doctor"]):
        k.fails(f"not over a console: {argv[0]}", "not over a console", *argv, token=token)
    k.fails("not over a console: flows --follow", "not over HTTP", "flows", "--follow", "--json", token=token)


def documented(k, token):
    """The commands of docs/fleet.md about the console, in their order."""
    with open(os.path.join(lab.SOURCE, "docs", "fleet.md"), encoding="utf-8") as f:
        commands = "".join(re.findall(r"^```console\n(.*?)^```", f.read(), re.M | re.S))
    commands = commands.replace("/run/egret-console", k.path("run")).replace("https://console.example:8720", URL).replace("$HOME/.egret-token", token)
    done = k.run("sh", "-ex", "-c", commands, env={"PATH": k.n.tmp + ":" + os.environ["PATH"], "SSL_CERT_FILE": k.path("console.example.crt")})
    CASES.check(f"docs/fleet.md: its {commands.count(chr(10))} commands work", done.returncode == 0 and commands.count("\n") > 8, done.stdout[-800:], done.stderr[-800:])


def seen(k):
    """The page as a browser shows it."""
    if not shutil.which(CHROMIUM):
        CASES.skip("the page in a browser", f"no {CHROMIUM} here")
        return
    for view, words in (("", "console of 3 hosts"), ("#/hosts", "web-2"), ("#/findings", "all.example.org"), ("#/flows", "db-1.example.net")):
        done = k.run(CHROMIUM, "--no-sandbox", "--ignore-certificate-errors", "--virtual-time-budget=8000", "--dump-dom", f"{URL}/{view}")
        CASES.check(f"the page in a browser: {view or 'its start'}", words in done.stdout and "Policy" not in done.stdout, done.stdout[-1500:], done.stderr[-300:])


def troubles(k, token):
    """What goes wrong on the way, in words and with exit status 1."""
    wrong, loose = k.path("wrong"), k.path("loose")
    for path, text, mode in ((wrong, "0" * 64, 0o600), (loose, "0" * 64, 0o644)):
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        os.chmod(path, mode)
        os.chown(path, 65533, 65533)
    k.fails("no token", "--token-file", "status")
    k.fails("a wrong token", "--token-file", "status", token=wrong)
    k.fails("a token that all may read", "readable by everybody", "status", token=loose)
    k.fails("a token that is not there", "cannot read the token", "status", token=k.path("none"))
    k.fails("a certificate of nobody's", "certificate is not trusted", "status", token=token, ca=None)
    k.fails("a certificate of another CA's", "certificate is not trusted", "status", token=token, ca="other.crt")
    k.fails("nobody listens", "127.0.0.1:8729: ", "usage", url="https://127.0.0.1:8729", token=token)
    k.fails("HTTP where HTTPS is", "no egret", "status", url=f"http://127.0.0.1:{clickhouse_rig.PORT}", token=None)
    k.fails("a token in the clear", "https://", "status", url=f"http://{S4}:{PORT}", token=token)
    for path, words in (("", "ended the connection"), ("/cut", "cut off")):
        done = k.ask("usage", url=f"http://127.0.0.1:{CUT}{path}", ca=None)
        CASES.check(f"an answer without its end{path}", done.returncode == 1 and words in done.stderr, done)
    said = ""
    for _ in range(60):
        said = k.ask("status", token=wrong).stderr
        if "too many requests" in said:
            break
    CASES.check("who tries tokens has to wait", "too many requests" in said, said)
    time.sleep(5)
    CASES.equal("and then may ask again", k.ask("status", token=token).returncode, 0)


def away_and_back(k, c, token):
    c.kill("s1r1")
    k.fails("ClickHouse away", k.url, "usage", "--last", "1h", token=token)
    status = lab.wait_for("the console to notice", lambda: (s := json.loads(k.ask("status", "--json", token=token).stdout)["clickhouse"])["answers"] is False and s, 45)
    CASES.check("status says it in words", status["problem"] and "hosts" not in status, status)
    CASES.equal("the page is there all the same", k.curl("/")[0], 200)
    c.up()
    lab.wait_for("the console to notice", lambda: json.loads(k.ask("status", "--json", token=token).stdout)["clickhouse"]["answers"], 60)
    CASES.equal("ClickHouse back", k.ask("usage", "--last", "1h", token=token).returncode, 0)
    CASES.equal("each was logged once", (k.log().count("questions fail until it answers"), k.log().count(f"{k.url} answers")), (1, 2))


def ordinary(k):
    """The page of any egretd answers the same command line."""
    n = k.n
    d = Guarded(n, "policy \"FILE\" watch", f"page 127.0.0.1:{PAGE}\nstore sqlite\n", ns=k.ns)
    d.write(f"allow to {S4} quota 1gb/month\ndefault allow\n")
    d.start()
    n.python(f"import socket; s=socket.create_connection(('{S4}',7003)); s.sendall(b'x'*1000); s.shutdown(1)\nwhile s.recv(9999): pass")
    url = f"http://127.0.0.1:{PAGE}"

    def far(*argv):
        return k.run(k.egret, "--console", url, *argv)

    lab.wait_for("the flow to be kept", lambda: S4 in far("flows", "--last", "1h").stdout, 20)
    for argv in (["policy", "show", "--json"], ["quota", "--json"], ["why", S4, "--json"], ["intel", "list"], ["findings"], ["flows", "--json", "--last", "1h"],
                 ["usage", "--json", "--last", "1h"]):
        near, got = d.egret(*argv), far(*argv)
        CASES.check(f"an ordinary egretd: {' '.join(argv[:2])}", (near.returncode, steady(near.stdout)) == (got.returncode, steady(got.stdout)), near, got)
    CASES.equal("an ordinary egretd: its status", json.loads(far("status", "--json").stdout)["watch"], "host")
    CASES.equal("an ordinary egretd: living flows", far("flows", "--ended").returncode, 0)
    for argv, words in ((["policy", "load", d.policy_file], "not over a console"), (["policy", "clear"], "not over HTTP"), (["fleet", "status"], "")):
        done = far(*argv)
        CASES.check(f"an ordinary egretd refuses: {' '.join(argv[:2])}", done.returncode == 1 and words in done.stderr, done)
    CASES.check("its policy is what it was", "quota 1gb/month" in d.egret("policy", "show").stdout)
    d.stop()


def steady(text):
    """Without what changes from one second to the next."""
    return [x for x in text.split(",") if not any(k in x for k in ('"to":', '"from":', "uptime", '"time', '"age', '"last"'))]


def main():
    clickhouse_rig.need(CASES)
    n = lab.Lab("con")
    c = None
    try:
        n.echo(7003)
        c = Cluster(1, 1, ns=n.client)
        c.tool("migrate")
        fill(c)
        c.tool("rollup", "--closed-after", "-3600")
        k = Console(n, c)
        starting(k)
        path, text = k.token()
        n.start("/usr/bin/python3", "-c", LIAR, CUT, ns=n.client, ready=lambda _: n.listens("t", CUT, n.client))
        questions(k, who_may(k, text))
        seen(k)
        command_line(k, path)
        documented(k, path)
        troubles(k, path)
        away_and_back(k, c, path)
        ordinary(k)
        CASES.equal("the console ends well", n.stop(k.child, signal.SIGTERM), 0)
        CASES.equal("and leaves no socket", os.listdir(k.path("run")), [])
    except (RuntimeError, TimeoutError, subprocess.SubprocessError, OSError, KeyError, ValueError) as e:
        CASES.check("console", False, repr(e))
    finally:
        if c:
            c.close()
        n.close()
    return CASES.end()


sys.exit(main())
