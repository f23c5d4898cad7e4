#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Policy in a running egretd: watch, enforce, survive, roll back, block, disarm; and `why` says what the kernel did.

    policy.py [[--but] SCENARIO...]         these, or all but these

The daemon has a bpf file system of its own, in a mount namespace that outlives it, so that what it pins is nobody else's.
"""
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

import lab
from guarded import CONNECT, Guarded, connect
from lab import C4, EGRET, EGRETD, S4

CASES = lab.golden.Cases()
OPEN, SHUT, ECHO = 7101, 7102, 7103

# Connects until told to stop; prints how often it passed and was refused.
HAMMER = """
import socket, sys, time
passed = refused = other = 0
print("going", flush=True)
end = time.monotonic() + 60
import select
while time.monotonic() < end and not select.select([sys.stdin], [], [], 0)[0]:
    s = socket.socket()
    try:
        s.connect((sys.argv[1], int(sys.argv[2])))
        passed += 1
    except PermissionError:
        refused += 1
    except OSError:
        other += 1
    s.close()
print(passed, refused, other, flush=True)
"""


def watch_and_enforce(n):
    d = Guarded(n)
    d.start()
    CASES.equal("without a policy: passes", connect(n, SHUT), "ok")
    policy = f"# rules\ndeny to {S4} port {SHUT}\nreject to {S4} port {ECHO}\ndefault allow\n"
    CASES.equal("load --watch", d.load(policy, "--watch").returncode, 0)
    CASES.equal("watch: refuses nothing", connect(n, SHUT), "ok")
    r = d.wait_record("the flow that would be refused", lambda r: r["event_type"] == "flow" and
                      r.get("dest_port") == SHUT and r["egret"].get("would_deny"))
    CASES.equal("watch: the record has verdict and line", (r["egret"]["verdict"], r["egret"]["rule"]["line"]), ("deny", 2))
    CASES.equal("watch: nothing is pinned", d.pins(), [])

    CASES.equal("load --enforce", d.load(policy, "--enforce").returncode, 0)
    CASES.equal("enforce: deny is EPERM at once", connect(n, SHUT), "EPERM")
    CASES.equal("enforce: reject is ECONNREFUSED", connect(n, ECHO), "ECONNREFUSED")
    CASES.equal("enforce: others pass", connect(n, OPEN), "ok")
    r = d.wait_record("the refusal", lambda r: r["event_type"] == "drop" and r.get("dest_port") == SHUT)
    CASES.equal("enforce: the refusal is recorded with its line", r["egret"]["rule"]["line"], 2)
    CASES.check("enforce: and with its program", r.get("process", {}).get("name", "").startswith("python3"), r)
    row = d.rule(f"deny to {S4} port {SHUT}")
    CASES.check("show: hits and refused calls", row["hits"] >= 1 and row["refused_calls"] >= 1, row)
    CASES.check("show: the last match", row.get("last", "").startswith("20"), row)
    text = d.egret("policy", "show").stdout
    CASES.check("show: for people", "mode       enforce" in text and f"deny to {S4} port {SHUT}" in text, text)
    CASES.check("status has a line", "policy     enforce" in d.egret("status").stdout)
    n.python("import socket,sys\ns=socket.create_connection((sys.argv[1],int(sys.argv[2])))\ns.sendall(bytes(100000))",
             S4, OPEN)
    lab.wait_for("bytes of the default", lambda: d.rule("default").get("bytes_up", 0) > 100000)
    why_agrees(d)
    CASES.equal("ends well", d.stop(), 0)
    CASES.equal("SIGTERM: what is enforced goes on", connect(n, SHUT), "EPERM")
    CASES.equal("disarm without a daemon", d.egret("disarm").returncode, 0)
    CASES.equal("disarm: passes again", connect(n, SHUT), "ok")
    CASES.equal("disarm: leaves no pin", d.pins(), [])


def why_agrees(d):
    """Each recorded flow and refusal, asked again."""
    asked = 0
    for r in d.records():
        verdict = r.get("egret", {}).get("verdict") or r.get("verdict", {}).get("action")
        if r["event_type"] not in ("flow", "drop") or not verdict or not r.get("dest_ip") or \
                r["egret"].get("direction") == "reply" or "rule" not in r["egret"]:
            continue
        proto = {"TCP": "tcp", "UDP": "udp"}.get(r["proto"])
        if not proto:
            continue
        argv = ["why", "--json"]
        if r.get("process", {}).get("executable"):
            argv += ["--app", r["process"]["executable"]]
        if "user" in r:
            argv += ["--user", str(r["user"]["id"])]
        if r.get("app_proto") and r["app_proto"] != "failed":
            argv += ["--speaking", r["app_proto"]]
        name, dest = r["egret"].get("name"), r["dest_ip"]
        if name:
            argv += ["--address", dest]
        argv.append(f"{name or ('[' + dest + ']' if ':' in dest else dest)}:{r['dest_port']}/{proto}")
        done = d.egret(*argv)
        if done.returncode not in (0, 1):
            CASES.check(f"why: answers {argv}", False, done)
            continue
        got = json.loads(done.stdout)
        asked += 1
        want = r["egret"]["rule"]["text"]
        if got["rule"]["text"] != want:
            CASES.check(f"why: {' '.join(argv)}", False, f"why says {got['rule']}, the kernel {r['egret']}")
    CASES.check(f"why agrees with the kernel on {asked} verdicts", asked >= 4)


def names_and_programs(n):
    """What the example policies are made of; `why` is asked about every flow of it."""
    n.nginx()
    n.dnsmasq()
    d = Guarded(n)
    d.start()
    policy = (f"resolvers {S4}\napp web = \"/usr/bin/curl\"\n"
              f"deny to secret.{lab.ZONE}\n"
              f"allow app web to *.{lab.ZONE} port 80, 443\n"
              f"audit user nobody to {S4} port {OPEN}\n"
              f"allow app \"{os.path.realpath('/usr/bin/python3')}\" to {S4} port {ECHO} except user nobody\n"
              "default deny\n")
    CASES.equal("names: load", d.load(policy, "--enforce").returncode, 0)

    def curl(*argv):
        return n.run("curl", "-sk", "-m", 10, "-o", "/dev/null", "-w", "%{http_code}", *argv, check=False).strip()[:3]

    CASES.equal("names: http", curl(f"http://www.{lab.ZONE}/"), "200")
    CASES.equal("names: https", curl(f"https://www.{lab.ZONE}/"), "200")
    CASES.equal("names: by CNAME", curl(f"https://alias2.{lab.ZONE}/"), "200")
    CASES.equal("names: the address alone is no name", curl(f"https://{S4}:8080/"), "000")
    CASES.equal("names: a name that is refused, shown to an allowed address",
                curl("--connect-to", f"secret.{lab.ZONE}:443:www.{lab.ZONE}:443", f"https://secret.{lab.ZONE}/"), "000")
    CASES.equal("names: a stranger's name to an allowed address",
                curl("--connect-to", f"evil.example:443:www.{lab.ZONE}:443", "https://evil.example/"), "000")
    CASES.equal("names: another program", n.run("bash", "-c", f"exec 3<>/dev/tcp/www.{lab.ZONE}/80 && echo ok",
                                                check=False).strip()[-2:] == "ok", False)
    CASES.equal("names: this program", connect(n, ECHO), "ok")
    as_nobody = ["setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/python3", "-c", CONNECT, S4]
    CASES.equal("names: except", n.run(*as_nobody, ECHO).strip(), "EPERM")
    CASES.equal("names: audit lets pass", n.run(*as_nobody, OPEN).strip(), "ok")
    r = d.wait_record("what audit noted", lambda r: r["event_type"] == "flow" and r.get("dest_port") == OPEN)
    CASES.equal("names: audit is recorded", (r["egret"]["verdict"], r["egret"]["would_deny"]), ("audit", True))
    d.stop()
    d.start()
    CASES.equal("names: known after a restart", curl("--resolve", f"www.{lab.ZONE}:443:{S4}", f"https://www.{lab.ZONE}/"),
                "200")
    why_agrees(d)
    lab.agree(CASES, "replay", os.path.join(d.run_dir, "loaded.egret"), d.eve)
    d.egret("disarm")
    d.stop()


def survives(n):
    d = Guarded(n)
    d.start()
    policy = f"deny to {S4} port {SHUT}\ndefault allow\n"
    CASES.equal("survives: load", d.load(policy, "--enforce").returncode, 0)
    for _ in range(5):
        connect(n, SHUT)
    before = lab.wait_for("hits", lambda: d.rule("deny").get("hits", 0) >= 5 and d.rule("deny")["hits"])
    hammer = n.start("/usr/bin/python3", "-c", HAMMER, S4, SHUT, ns=n.client, watched=True, stdin=True, log="hammer.log",
                     ready=lambda c: "going" in open(c.log, encoding="utf-8").read())
    d.kill()
    CASES.equal("kill -9: rules go on", connect(n, SHUT), "EPERM")
    CASES.equal("kill -9: others pass", connect(n, OPEN), "ok")
    d.start()
    CASES.equal("restart: goes on", connect(n, SHUT), "EPERM")
    CASES.check("restart: said what it took over", "policy: enforce" in d.messages(), d.messages())
    CASES.check("restart: hits are not lost", d.rule("deny").get("hits", 0) >= before, d.rule("deny"), before)
    d.stop()
    d.start()
    n.say(hammer, "enough")
    hammer.wait(20)
    with open(hammer.log, encoding="utf-8") as f:
        passed, refused, other = map(int, f.read().split()[-3:])
    CASES.check(f"no gap: of {refused} connects during kill, stop and two starts none passed", not passed and refused > 100
                and not other, passed, refused, other)
    hits = d.rule("deny").get("hits", 0)
    CASES.check("all of them are counted", hits >= before + refused, hits, before, refused)
    CASES.equal("disarm with a daemon", d.egret("disarm").returncode, 0)
    CASES.equal("disarm: passes", connect(n, SHUT), "ok")
    CASES.equal("disarm: nothing is pinned", d.pins(), [])
    CASES.equal("disarm: show", d.show()["mode"], "off")
    d.stop()
    d.start()
    CASES.equal("after disarm a restart brings nothing back", connect(n, SHUT), "ok")
    d.stop()
    CASES.equal("nothing is left pinned", d.pins(), [])


def confirms(n):
    d = Guarded(n)
    d.start()
    first, second = f"deny to {S4} port {SHUT}\ndefault allow\n", f"deny to {S4} port {OPEN}\ndefault allow\n"
    d.load(first, "--enforce")
    CASES.equal("confirm: nothing waits", d.egret("policy", "confirm").returncode, 1)
    CASES.equal("confirm: load", d.load(second, "--enforce", "--confirm", "2s").returncode, 0)
    CASES.equal("confirm: in force at once", (connect(n, OPEN), connect(n, SHUT)), ("EPERM", "ok"))
    lab.wait_for("the way back", lambda: connect(n, SHUT) == "EPERM", 10)
    CASES.equal("confirm: rolled back", connect(n, OPEN), "ok")
    d.load(second, "--enforce", "--confirm", "2s")
    CASES.equal("confirm: confirmed", d.egret("policy", "confirm").returncode, 0)
    time.sleep(3)
    CASES.equal("confirm: stays", connect(n, OPEN), "EPERM")
    # The daemon dies while a policy waits: it goes back when it comes again.
    d.load(first, "--enforce", "--confirm", "3s")
    d.kill()
    CASES.equal("confirm: in force while egretd is away", connect(n, SHUT), "EPERM")
    time.sleep(3.5)
    d.start()
    CASES.equal("confirm: rolled back at the start", (connect(n, SHUT), connect(n, OPEN)), ("ok", "EPERM"))
    CASES.check("confirm: and said so", "rolled back" in d.messages(), d.messages())
    CASES.equal("clear", d.egret("policy", "clear").returncode, 0)
    CASES.equal("clear: passes", connect(n, OPEN), "ok")
    d.load(second, "--enforce", "--confirm", "1s")
    lab.wait_for("the way back to nothing", lambda: connect(n, OPEN) == "ok", 10)
    d.stop()
    CASES.equal("rolled back to nothing: nothing is pinned", d.pins(), [])


def blocks(n):
    d = Guarded(n)
    d.start()
    CASES.equal("block without a policy", d.egret("block", S4, "--for", "3s", "--note", "a test").returncode, 0)
    CASES.equal("block: refused", connect(n, OPEN), "EPERM")
    shown = d.show()["blocks"]
    CASES.check("block: show lists it", len(shown) == 1 and shown[0]["note"] == "a test" and "until" in shown[0], shown)
    d.kill()
    CASES.equal("block: outlives egretd", connect(n, OPEN), "EPERM")
    lab.wait_for("the rule's time in the kernel alone", lambda: connect(n, OPEN) == "ok", 10)
    d.start()
    lab.wait_for("the rule to go", lambda: not d.show().get("blocks"))
    CASES.equal("block: expired", d.show()["mode"], "off")

    d.load("default allow\n", "--watch")
    d.egret("block", S4)
    CASES.equal("block: refuses in watch mode, too", connect(n, OPEN), "EPERM")
    CASES.equal("unblock", d.egret("unblock", S4).returncode, 0)
    CASES.equal("unblock: passes", connect(n, OPEN), "ok")
    CASES.equal("unblock: again", d.egret("unblock", S4).returncode, 1)
    exe = os.path.realpath("/usr/bin/python3")
    d.egret("block", "--app", exe)
    CASES.equal("block --app: this program", connect(n, OPEN), "EPERM")
    CASES.equal("block --app: not another", n.run("bash", "-c", f"exec 3<>/dev/tcp/{S4}/{OPEN} && echo ok").strip(), "ok")
    d.egret("unblock", "--all")
    d.egret("block", "--user", "nobody")
    CASES.equal("block --user: not another", connect(n, OPEN), "ok")
    out = n.run("setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/python3", "-c", CONNECT, S4, OPEN)
    CASES.equal("block --user: this user", out.strip(), "EPERM")
    for bad in (["--app", "x\ny"], [f"{S4}\ndefault allow"], ["not..a..name"], [S4, "--for", "soon"], []):
        CASES.check(f"block: refuses {bad}", d.egret("block", *bad).returncode, bad)
    d.egret("disarm")
    d.stop()


def lockout(n):
    d = Guarded(n)
    d.start()
    n.small_server("sink", 22)
    n.start("/usr/bin/python3", "-c",
            f"import socket,time\ns=socket.create_connection(('{S4}',22))\nprint(s.getsockname()[1],flush=True)\ntime.sleep(600)",
            ns=n.client, watched=True, log="ssh.log", ready=lambda c: open(c.log, encoding="utf-8").read())
    lab.wait_for("the session to be known", lambda: '"dest_port":22,' in d.egret("flows", "--json").stdout)
    done = d.load("# one\ndefault deny\n", "--enforce")
    CASES.check("lockout: refused", done.returncode == 1, done)
    CASES.check("lockout: names rule and session", "default deny" in done.stderr and ":2:" in done.stderr and
                f"{S4} port 22" in done.stderr, done.stderr)
    CASES.equal("lockout: nothing is in force", d.show()["mode"], "off")
    with open(os.path.join(n.tmp, "ssh.log"), encoding="utf-8") as f:
        own = int(f.read())
    done = d.load("default deny\n", "--enforce", env={"SSH_CONNECTION": f"{S4} 22 {C4} {own}"})
    CASES.check("lockout: one's own session", done.returncode == 1 and "your own session" in done.stderr, done)
    CASES.equal("lockout: --watch is no danger", d.load("default deny\n", "--watch").returncode, 0)
    CASES.equal("lockout: allowed by a rule", d.load(f"allow to {S4} port 22\ndefault deny\n", "--enforce").returncode, 0)
    CASES.equal("lockout: --force", d.load("default deny\n", "--enforce", "--force").returncode, 0)
    CASES.equal("lockout: then it is cut", connect(n, 22), "EPERM")
    d.egret("disarm")
    d.stop()


def reload(n):
    d = Guarded(n, 'policy "FILE" enforce')
    d.write(f"deny to {S4} port {SHUT}\ndefault allow\n")
    d.start()
    CASES.equal("egret.conf's policy", (connect(n, SHUT), connect(n, OPEN)), ("EPERM", "ok"))
    d.write(f"deny to {S4} port {OPEN}\nnonsense\n")
    d.child.send_signal(signal.SIGHUP)
    lab.wait_for("the mistake to be said", lambda: "policy.egret:2:1: error" in d.messages())
    CASES.equal("SIGHUP with a mistake: the old one stays", (connect(n, SHUT), connect(n, OPEN)), ("EPERM", "ok"))
    test = subprocess.run([EGRETD, "-T", "-c", d.conf], capture_output=True, text=True)
    CASES.check("egretd -T finds it", test.returncode == 1 and "policy.egret:2:1" in test.stderr, test)
    d.write(f"deny to {S4} port {OPEN}\ndefault allow\n")
    CASES.equal("egretd -T", subprocess.run([EGRETD, "-T", "-c", d.conf], capture_output=True).returncode, 0)
    d.child.send_signal(signal.SIGHUP)
    lab.wait_for("the new one", lambda: connect(n, OPEN) == "EPERM")
    CASES.equal("SIGHUP: swapped", connect(n, SHUT), "ok")
    d.stop()
    d.write("also nonsense\n")
    d.start()
    CASES.equal("restart with a mistake: the old one stays", connect(n, OPEN), "EPERM")
    for path in ("inforce",):
        with open(os.path.join(d.run_dir, "state", "policy", path), "r+b") as f:
            f.seek(100)
            f.write(b"\0\0\0")
    d.write(f"deny to {S4} port {SHUT}\ndefault allow\n")
    d.kill()
    d.start()
    CASES.check("a damaged snapshot is said", "damaged" in d.messages(), d.messages())
    CASES.equal("and egret.conf's policy is loaded", (connect(n, SHUT), connect(n, OPEN)), ("EPERM", "ok"))
    d.egret("disarm")
    d.stop()


class Lists(http.server.BaseHTTPRequestHandler):
    text, status, asked = b"", 200, 0

    def do_GET(self):
        Lists.asked += 1
        self.send_response(Lists.status)
        self.send_header("Content-Length", str(len(Lists.text)))
        self.end_headers()
        self.wfile.write(Lists.text)

    def log_message(self, *_):
        pass


def lists_and_times(n):
    """A list that is downloaded and changes, one in a file, one that expires, a schedule that ends: a minute each, at once."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Lists)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Lists.text = b"10.77.0.200\n" * 1 + b"10.77.0.201\n"
    url = f"http://127.0.0.1:{server.server_port}/list.txt"
    d = Guarded(n)
    d.start()
    in_file = os.path.join(n.tmp, "list.txt")
    with open(in_file, "w", encoding="ascii") as f:
        f.write("10.77.0.210\n")
    now = time.localtime(time.time() + 5)           # the end is at least 5 s away, at most 65
    end = time.localtime(time.mktime(now) + 60 - now.tm_sec)
    day = "mon-sun"
    policy = (f'list far = url "{url}" refresh 1m\nlist near = file "{in_file}"\n'
              f'schedule now = {day} 00:00-{end.tm_hour:02}:{end.tm_min:02}\n'
              f"deny to list far\ndeny to list near\ndeny to {S4} port {SHUT} during now\ndefault allow\n")
    scheduled = end.tm_hour or end.tm_min           # not across midnight
    done = d.load(policy, "--enforce")
    CASES.check("a list is downloaded for the first load", done.returncode == 0, done)
    rows = {x["name"]: x for x in d.show()["lists"]}
    CASES.check("show: lists", rows["far"]["entries"] == 2 and rows["near"]["entries"] == 1 and "as_of" in rows["far"], rows)
    CASES.equal("the downloaded list is in force", connect(n, OPEN, "10.77.0.200", 1), "EPERM")
    CASES.equal("the list in a file is in force", connect(n, OPEN, "10.77.0.210", 1), "EPERM")
    if scheduled:
        CASES.equal("during: in force", connect(n, SHUT), "EPERM")
    Lists.text = b"10.77.0.201\n10.77.0.202\n"
    with open(in_file, "w", encoding="ascii") as f:
        f.write("10.77.0.211\n10.77.0.212\n")
    lab.wait_for("the list in a file to be read again", lambda: connect(n, OPEN, "10.77.0.212", 1) == "EPERM", 20)
    if scheduled:
        lab.wait_for("the schedule to end", lambda: connect(n, SHUT) == "ok", 70)
        CASES.check("the schedule ended in time", abs(time.time() - time.mktime(end)) < 3, time.time() - time.mktime(end))
    else:
        CASES.skip("schedule", "it is midnight")
    lab.wait_for("the list to be downloaded again", lambda: connect(n, OPEN, "10.77.0.202", 1) == "EPERM", 90)
    CASES.check("what is no longer on it passes", connect(n, OPEN, "10.77.0.200", 1) != "EPERM")
    Lists.status, Lists.text = 500, b"broken"
    asked = Lists.asked
    lab.wait_for("the next download", lambda: Lists.asked > asked, 90)
    lab.wait_for("the failure to be shown", lambda: any(x.get("problem") for x in d.show()["lists"]), 20)
    CASES.equal("a download that fails keeps the old list", connect(n, OPEN, "10.77.0.202", 1), "EPERM")
    CASES.check("and is said once in the log", d.messages().count(url) >= 1, d.messages())

    done = d.load(f'list gone = url "{url}x" refresh 1m\ndeny to list gone\ndefault allow\n', "--enforce")
    CASES.check("a list that cannot be had refuses the load", done.returncode == 1 and "gone" in done.stderr, done)
    CASES.equal("and what was in force stays", connect(n, OPEN, "10.77.0.202", 1), "EPERM")
    d.egret("disarm")
    d.stop()
    server.shutdown()


def rights(n):
    """Who may not change anything cannot; what is wrong is refused with words."""
    d = Guarded(n)
    d.start()
    os.chmod(n.tmp, 0o755)
    os.chmod(d.run_dir, 0o755)
    os.chmod(os.path.join(d.run_dir, "egret.sock"), 0o666)
    argv = ["setpriv", "--reuid=65534", "--clear-groups", EGRET, "--run", d.run_dir]
    for what in (["policy", "clear"], ["block", S4], ["policy", "show"]):
        done = subprocess.run([*argv, *what], capture_output=True, text=True, timeout=20)
        CASES.check(f"a stranger may not: {what}", done.returncode == 1 and "not allowed" in done.stderr, done)
    done = d.load("deny to nonsense!\n allow\n", "--enforce")
    CASES.check("a mistake has file, line, column and caret", done.returncode == 1 and
                re.search(r"loaded\.egret:1:\d+: error", done.stderr) and "^" in done.stderr, done)
    done = d.load(f"default allow\nexpect deny to {S4} port {OPEN}\n", "--enforce")
    CASES.check("an expectation that fails refuses the load", done.returncode == 1 and "expect" in done.stderr, done)
    CASES.equal("nothing of them is in force", d.show()["mode"], "off")
    with open(os.path.join(d.run_dir, "part.egret"), "w", encoding="ascii") as f:
        f.write(f"deny to {S4} port {SHUT}\n")
    CASES.equal("include", d.load('include "part.egret"\ndefault allow\n', "--enforce").returncode, 0)
    CASES.equal("include: in force", connect(n, SHUT), "EPERM")
    os.unlink(os.path.join(d.run_dir, "part.egret"))
    d.kill()
    d.start()
    CASES.equal("include: kept with the policy", connect(n, SHUT), "EPERM")
    CASES.check("policy show --text", f"deny to {S4} port {SHUT}" in d.egret("policy", "show", "--text").stdout)
    d.egret("disarm")
    d.stop()


def main():
    lab.need(CASES, "nsenter", "unshare", "setpriv", "bpftool", "nginx", "dnsmasq", "curl", "openssl")
    but, names = "--but" in sys.argv, [a for a in sys.argv[1:] if a != "--but"]
    n = lab.Lab("pol")
    try:
        for port in (OPEN, SHUT, ECHO):
            n.sink(port)
        for scenario in (watch_and_enforce, names_and_programs, survives, confirms, blocks, lockout, reload, rights, lists_and_times):
            if names and (scenario.__name__ in names) == but:
                continue
            try:
                scenario(n)
            except (RuntimeError, TimeoutError, subprocess.SubprocessError, OSError, ValueError, KeyError) as e:
                CASES.check(scenario.__name__, False, repr(e))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
