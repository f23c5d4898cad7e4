#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`egret exec --policy`: one command tree that reaches what its policy allows, and nothing else."""
import json
import os
import re
import subprocess
import sys

import lab
from lab import EGRET, S4, ZONE

CASES = lab.golden.Cases()
WWW = f"""resolvers {S4}
allow to www.{ZONE} port 80, 443/tcp
deny  to *.{ZONE}   port 443   as "only www"
default deny
"""

# Tries each "udp|tcp HOST PORT" of its arguments and prints how that went.
TRY = """
import errno, socket, sys
for arg in sys.argv[1:]:
    kind, host, port = arg.split()
    try:
        family, _, _, _, where = socket.getaddrinfo(host, int(port), socket.AF_INET)[0]
        s = socket.socket(family, socket.SOCK_STREAM if kind == 'tcp' else socket.SOCK_DGRAM)
        s.settimeout(3)
        if kind == 'tcp':
            s.connect(where)
        else:
            s.sendto(b'x', where)
        print(arg, 'passed', flush=True)
    except OSError as e:
        print(arg, errno.errorcode.get(e.errno, str(e)), flush=True)
"""


class Run:
    """One `egret exec --policy` in the client namespace."""

    def __init__(self, n, policy, *argv, watch=False, options=(), pass_fds=(), timeout=60):
        self.policy = os.path.join(n.tmp, "p.egret")
        self.eve = os.path.join(n.tmp, "sandbox.json")
        with open(self.policy, "w", encoding="utf-8") as f:
            f.write(policy)
        if os.path.exists(self.eve):
            os.unlink(self.eve)
        child = n._popen([EGRET, "exec", "--policy", self.policy, *(["--watch"] if watch else []), "--json", self.eve,
                          *options, "--", *argv], n.client, None, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, pass_fds=pass_fds)
        out, err = child.communicate(timeout=timeout)
        self.pid = child.pid
        self.status, self.out, self.err = child.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")
        self.records = []
        if os.path.exists(self.eve):
            with open(self.eve, encoding="utf-8") as f:
                self.records = [json.loads(line) for line in f]

    def of(self, kind):
        return [r for r in self.records if r["event_type"] == kind]

    def drops(self):
        """Refusals with a record of their own."""
        return [r for r in self.of("drop") if not r["drop"].get("summary")]

    def flows(self, port=None):
        return [r for r in lab.last_flows(self.records) if port in (None, r.get("dest_port"))]

    def check(self, name, ok, *more):
        return CASES.check(name, ok, *more, self.status, self.out[-1500:], self.err[-2500:])

    def end(self, name, at_least=1):
        lab.golden.check_schema(CASES, name, [json.dumps(r).encode() for r in self.records])
        lab.agree(CASES, name, self.policy, self.eve, at_least)


def verdict(r):
    e = r["egret"]
    return e.get("verdict"), e.get("rule", {}).get("line")


def names(n):
    run = Run(n, WWW, "curl", "-sk4", f"https://www.{ZONE}/")
    run.check("the allowed name passes", run.status == 0 and "hello" in run.out)
    tls = run.flows(443)
    CASES.check("its flow names the line that let it pass", [verdict(r) for r in tls] == [("allow", 2)] and
                tls[0]["egret"]["rule"]["text"].startswith("allow to www."), tls)
    CASES.check("look-ups at the trusted resolver pass without a rule", run.flows(53) and
                all(verdict(r) == ("allow", None) for r in run.flows(53)), run.flows(53))
    CASES.check("nothing refused: no table of refusals", "Refused:" not in run.err and not run.of("drop"), run.err)
    run.end("one allowed name")

    run = Run(n, WWW, "curl", "-sk4", f"https://edge.{ZONE}/")
    drops = run.drops()
    run.check("another name of the same address is refused at once", run.status == 7 and "hello" not in run.out)
    CASES.check("with a record: name, rule, reason, program", drops and all(
        d["egret"]["name"] == f"edge.{ZONE}" and verdict(d) == ("deny", 3) and d["drop"]["reason"] == "connect" and
        d["egret"]["rule"]["note"] == "only www" and d["process"]["name"] == "curl" for d in drops), drops)
    CASES.check("a call that was refused is no flow", not run.flows(443), run.flows(443))
    run.check("the table says by which line", "Refused:" in run.err and
              re.search(rf"curl +edge\.{ZONE} +443/tcp +\d+ +deny +\S*p\.egret:3 ", run.err))
    run.end("another name")

    run = Run(n, WWW, "curl", "-s4", f"http://{S4}/")
    run.check("the bare address is refused", run.status == 7)
    CASES.check("by the default", [verdict(d) for d in run.drops()] == [("deny", 4)], run.of("drop"))
    run.end("the bare address")


def hellos(n):
    script = (f"curl -sk4 https://www.{ZONE}/ && curl -sk4 --max-time 5 https://evil.{ZONE}/ "
              f"--resolve evil.{ZONE}:443:{S4}; echo then $?")
    run = Run(n, WWW, "sh", "-c", script)
    run.check("a forged SNI to an allowed address is refused", "hello" in run.out and "then 0" not in run.out and
              "then " in run.out)
    drops = [d for d in run.drops() if d["drop"]["reason"] == "packet"]
    CASES.check("its record has the forged name", drops and
                all(d["egret"]["name"] == f"evil.{ZONE}" and verdict(d) == ("deny", 3) for d in drops), run.of("drop"))
    forged = [r for r in run.flows(443) if r["egret"].get("name") == f"evil.{ZONE}"]
    CASES.check("its flow is denied, and what was refused is counted", [verdict(r) for r in forged] == [("deny", 3)] and
                forged[0]["egret"]["refused"]["pkts"] >= 1, forged)
    run.end("forged SNI", 3)


def agent(n):
    """What a program that was told to misbehave would try."""
    tries = [f"tcp {S4} 443", f"tcp edge.{ZONE} 443", f"tcp www.{ZONE} 25", f"tcp www.{ZONE} 80", f"udp {S4} 9999",
             "tcp 192.0.2.1 80", "udp 8.8.8.8 53", "tcp 127.0.0.1 1"]
    run = Run(n, WWW, "/usr/bin/python3", "-c", TRY, *tries)
    went = dict(line.rsplit(" ", 1) for line in run.out.splitlines())
    want = {t: "EPERM" for t in tries}
    want[tries[3]] = "passed"
    want[tries[7]] = "ECONNREFUSED"  # nobody listens there; nothing forbids it
    run.check("an agent's attempts: only the one allowed passes", went == want)
    refused = sorted((d["dest_ip"], d["dest_port"]) for d in run.drops())
    CASES.check("each of the others is a record", len(refused) >= 6, refused)
    CASES.check("reasons: connect and send", {d["drop"]["reason"] for d in run.of("drop")} == {"connect", "send"},
                run.of("drop"))
    run.end("an agent", 7)


def rejects(n):
    run = Run(n, f"resolvers {S4}\nreject to {S4} port 81/tcp\ndeny to {S4} port 82/tcp\nallow to any\n",
              "/usr/bin/python3", "-c", TRY, f"tcp {S4} 81", f"tcp {S4} 82", f"tcp {S4} 80")
    run.check("reject is ECONNREFUSED, deny is EPERM", [x.split()[-1] for x in run.out.splitlines()] ==
              ["ECONNREFUSED", "EPERM", "passed"])
    run.end("reject and deny", 3)


def programs(n):
    policy = (f'resolvers {S4}\nallow app "/usr/bin/curl" to www.{ZONE} port 80\n'
              f'allow app tree of "/usr/bin/env" to {S4} port 81\nallow user nobody to {S4} port 82\ndefault deny\n')
    run = Run(n, policy, "/usr/bin/python3", "-c", TRY, f"tcp www.{ZONE} 80")
    run.check("another program gains nothing from curl's rule", run.out.split()[-1] == "EPERM")
    run.end("a program's rule, another program")
    run = Run(n, policy, "curl", "-s4", f"http://www.{ZONE}/")
    run.check("curl's rule lets curl pass", run.status == 0)
    run.end("a program's rule")
    run = Run(n, policy, "/usr/bin/env", "/usr/bin/python3", "-c", TRY, f"tcp {S4} 81", f"tcp {S4} 82")
    run.check("a tree's rule holds for what it starts", [x.split()[-1] for x in run.out.splitlines()] ==
              ["ECONNREFUSED", "EPERM"])
    run.end("a tree's rule")
    run = Run(n, policy, "/usr/bin/python3", "-c", TRY, f"tcp {S4} 82", options=["--user", "nobody"])
    run.check("--user: the user's rule", run.out.split()[-1] == "ECONNREFUSED")
    run.end("--user")


def watching(n):
    run = Run(n, WWW, "curl", "-s4", f"http://{S4}/", watch=True)
    run.check("--watch: nothing is refused", run.status == 0 and "hello" in run.out)
    flows = run.flows(80)
    CASES.check("--watch: noted as what would be", [verdict(r) for r in flows] == [("deny", 4)] and
                flows[0]["egret"]["would_deny"] is True and not run.of("drop"), flows)
    run.check("--watch: and shown", "Would have been refused:" in run.err and re.search(r"would deny +\S*p\.egret:4", run.err))
    run.end("--watch")


def mistakes(n):
    mark = os.path.join(n.tmp, "ran")
    for name, text in (("unknown word", "alow to any\n"), ("unknown set", "allow to set nothing\ndefault deny\n"),
                       ("a false expectation", "expect allow to 192.0.2.1 port 80\ndefault deny\n")):
        run = Run(n, text, "touch", mark)
        run.check(f"mistake, {name}: shown, and the command is not run", run.status == 125 and
                  re.search(r"p\.egret:1:\d+: error:", run.err) and not os.path.exists(mark))
    done = subprocess.run([EGRET, "exec", "--watch", "--", "true"], capture_output=True, text=True)
    CASES.equal("--watch without a policy is a wrong call", done.returncode, 2)


def floods(n):
    code = ("import socket\nfor i in range(5000):\n s=socket.socket()\n try: s.connect(('192.0.2.7',80))\n"
            " except OSError: pass\n s.close()\n")
    run = Run(n, WWW, "/usr/bin/python3", "-c", code)
    drops = run.of("drop")
    CASES.equal("a flood of refusals: not one is missing", sum(d["drop"].get("calls", 0) for d in drops), 5000)
    CASES.check("a flood of refusals: few records", len(drops) <= 200 and any(d["drop"].get("summary") for d in drops),
                len(drops))
    run.check("a flood of refusals: the table has the sum", re.search(r"python3\S* .* 4,9\d\d +deny", run.err))


def inherited(n):
    """Sockets that were made outside belong to another cgroup: what may not pass is not handed on."""
    policy = f"resolvers {S4}\nallow to {S4} port 80\ndefault deny\n"
    code = ("import os,socket,sys\nfor fd in map(int,sys.argv[1:]):\n"
            " try: os.fstat(fd); print('open')\n except OSError: print('closed')\n")
    script = f"""
import json, os, socket, subprocess, sys
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
idle = socket.socket()
good = socket.create_connection(({S4!r}, 80))
bad = socket.create_connection(({S4!r}, 443))
fds = [x.fileno() for x in (udp, idle, good, bad)]
for fd in fds:
    os.set_inheritable(fd, True)
sys.exit(subprocess.run([*sys.argv[1:], *map(str, fds)], close_fds=False).returncode)
"""
    path = os.path.join(n.tmp, "inherit.egret")
    with open(path, "w", encoding="utf-8") as f:
        f.write(policy)
    out = n.run("/usr/bin/python3", "-c", script, EGRET, "exec", "--policy", path, "--", "/usr/bin/python3", "-c", code,
                watched=False)
    CASES.check("inherited sockets: only the connection that is allowed", re.findall("^(?:open|closed)$", out, re.M) ==
                ["closed", "closed", "open", "closed"], out)
    CASES.check("inherited sockets: said which and why", out.count("is not handed on") == 3 and "inherit.egret:3" in out, out)


def left_of(pid):
    """What there is of the sandbox of one `egret exec`, and of no other's: cgroups, pins."""
    found = subprocess.run(["find", "/sys/fs/bpf", "-maxdepth", "4", "-name", f"exec-{pid}"], capture_output=True, text=True)
    return ({os.path.join(d, x) for d, dirs, _ in os.walk(lab.cgroup2_mount()) for x in dirs if x == f"egret-exec-{pid}"},
            set(found.stdout.split()))


def killed(n):
    """The sandbox outlives egret, and the next run takes away what is left of it."""
    log = os.path.join(n.tmp, "killed.log")
    code = (f"import errno,os,socket,time\nf=open({log!r},'w')\nwhile True:\n s=socket.socket()\n s.settimeout(2)\n"
            f" try: s.connect(({S4!r},443)); w='passed'\n except OSError as e: w=errno.errorcode.get(e.errno,str(e))\n"
            " s.close(); f.write(w+'\\n'); f.flush(); time.sleep(0.02)\n")
    policy = os.path.join(n.tmp, "p.egret")
    with open(policy, "w", encoding="utf-8") as f:
        f.write(WWW)
    child = n._popen([EGRET, "exec", "--policy", policy, "--", "/usr/bin/python3", "-c", code], n.client, None,
                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def tried():
        try:
            with open(log, encoding="ascii") as f:
                return f.read().split()
        except OSError:
            return []

    lab.wait_for("attempts", lambda: len(tried()) > 5)
    child.kill()
    child.wait()
    n_before = len(tried())
    lab.wait_for("attempts after the kill", lambda: len(tried()) > n_before + 20)
    CASES.equal("kill -9: the command stays restrained", set(tried()), {"EPERM"})
    left = left_of(child.pid)
    CASES.equal("kill -9: its cgroup and pins stay", tuple(map(len, left)), (1, 1))
    run = Run(n, WWW, "true")
    CASES.equal("the next run leaves alone what still runs", (left_of(child.pid), left_of(run.pid)), (left, (set(), set())))
    for path in left[0]:
        with open(os.path.join(path, "cgroup.kill"), "w", encoding="ascii") as f:
            f.write("1")
        lab.wait_for("the sandbox to be empty", lambda p=path: not open(os.path.join(p, "cgroup.procs")).read())
    run = Run(n, WWW, "true")
    CASES.equal("the next run takes away what a killed one left", (left_of(child.pid), left_of(run.pid)), ((set(), set()),) * 2)


def leftovers(n):
    sleep = f"sleep 1000.{os.getpid()}"
    run = Run(n, WWW, "sh", "-c", sleep + " & exit 5")
    run.check("what the command left running is ended", run.status == 5 and "ended with its sandbox" in run.err and
              not subprocess.run(["pgrep", "-fx", sleep], capture_output=True).stdout)
    CASES.equal("nothing stays behind", left_of(run.pid), (set(), set()))


def main():
    lab.need(CASES, "curl", "nginx", "dnsmasq")
    n = lab.Lab("sbx")
    try:
        n.nginx()
        n.dnsmasq()
        for scenario in (names, hellos, agent, rejects, programs, watching, mistakes, floods, inherited, leftovers, killed):
            scenario(n)
    except (RuntimeError, TimeoutError, subprocess.SubprocessError) as e:
        CASES.check("egret exec --policy", False, repr(e))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
