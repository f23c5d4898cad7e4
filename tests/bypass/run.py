#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The bypass suite: programs that try to get data out in spite of a policy that denies all but a few things.

    run.py [--free] [NAME...]       --free: only without a policy

Every attempt runs twice. First without a policy: its mark must reach the wire, since an attempt that fails by itself proves
nothing. Then under the policy: the mark must not be seen by the other side, in no frame, and eve.json must have a record of
the refusal. What cannot be stopped is in the table too, with the reason that docs/limits.md gives, and must still pass, so
that the document stays true.
"""
import json
import os
import random
import re
import select
import shutil
import signal
import string
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

import lab as lab_                  # noqa: E402
from lab import EGRET, EGRETD, Lab, cgroup2_mount, must, need, wait_for     # noqa: E402
from table import ATTEMPTS, GATEWAY_ONLY, Out, Passes, Refused                            # noqa: E402

A4, F4, CDN4, WILD4 = "10.77.0.2", "10.77.0.3", "10.77.0.4", "10.77.0.5"
PORTS = [25, 53, 80, 443, 7001, 7002, 7003, 7004]
FIRST_PORT = 7100
ENDS_WITHIN = 60

POLICY = """resolvers {A4}
app courier = "{allowed}/courier"
app job     = "{allowed}/job.py"
allow app courier to {F4} port 7001
allow app job     to {F4} port 7003/tcp
allow user 65533  to {F4} port 7004/tcp
allow to good.lab.example    port 25/tcp, 80/tcp, 443
allow to *.wild.lab.example  port 443/tcp
allow to {A4} port 7002/udp, 7005-7099/udp, 20000-60000/udp
{more}default deny
"""


def on_one_link():
    """The lab of a host: all addresses of the other side are on its link."""
    lab = Lab("bypass")
    for address in (F4, CDN4, WILD4):
        must("ip", "-n", lab.server, "addr", "add", address + "/24", "dev", "s0")
    must("ip", "-n", lab.server, "addr", "add", "fd77::3/64", "dev", "s0", "nodad")
    must("ip", "-n", lab.server, "addr", "add", "fe80::77:2/64", "dev", "s0", "nodad")
    must("ip", "-n", lab.client, "route", "add", "default", "via", A4)
    must("ip", "-n", lab.client, "-6", "route", "add", "default", "via", "fd77::2")
    return lab


class Other:
    """The other side: names, servers, the watcher of the wire."""

    def __init__(self, lab, near):
        """`near`: the namespace whose datagrams come here whatever the policy says."""
        self.lab, self.near, self.flushes = lab, near, 0
        must("ip", "netns", "exec", lab.server, "sysctl", "-qw", "net.ipv4.tcp_fastopen=0x603")
        must("ip", "netns", "exec", lab.client, "sysctl", "-qw", "net.ipv4.ping_group_range=0 65535")
        self.dns()
        mptcp = FIRST_PORT + [a.name for a in ATTEMPTS].index("mptcp")
        ports = PORTS + [FIRST_PORT + i for i in range(len(ATTEMPTS))]
        self.server = lab.start("/usr/bin/python3", os.path.join(HERE, "server.py"), "s0", mptcp, *ports,
                                ready=lambda child: "up\n" in self.text(child))

    def dns(self):
        records = [("good", CDN4), ("other", CDN4), ("evil", F4), ("wild", F4), ("evilwild", F4),
                   ("a.wild.lab.example.evil", F4), ("a.b.wild", WILD4)]
        self.lab.start("dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--log-facility=-", "--user=root",
                       f"--pid-file={self.lab.tmp}/dnsmasq.pid", "--bind-interfaces", f"--listen-address={A4}",
                       *(f"--host-record={n}.lab.example,{a}" for n, a in records), "--local=/lab.example/",
                       "--synth-domain=syn.lab.example,10.78.0.0/16,ip-", "--local-ttl=300",
                       ready=lambda _: self.lab.listens("u", 53))

    def text(self, child=None):
        with open((child or self.server).log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def marks(self):
        """All marks that reached this side, and what was sent before this call has."""
        self.flushes += 1
        flush = f"egx{999}flushflu" + "".join(string.ascii_lowercase[self.flushes // 26 ** i % 26] for i in (1, 0))
        self.lab.run("nsenter", f"--net=/run/netns/{self.near}", "/usr/bin/python3", "-c",
                     "import socket,sys\nsocket.socket(2,2).sendto(sys.argv[1].encode(),(sys.argv[2],9))", flush, A4,
                     watched=False)
        wait_for("the wire to be read", lambda: f"mark {flush}\n" in self.text())
        return set(re.findall(r"^mark (\S+)$", self.text(), re.M))


class Guarded:
    """egretd over the lab's cgroup, in the network namespace of the attempts."""

    WATCH = "watch host\nbackstop on\n"

    def __init__(self, lab, policy):
        self.lab, self.policy = lab, policy
        self.ns, self.cgroup = self.place()
        self.run_dir = tempfile.mkdtemp(prefix="run.", dir=lab.tmp)
        self.eve = os.path.join(self.run_dir, "eve.json")
        conf = os.path.join(self.run_dir, "egret.conf")
        path = "/" + os.path.relpath(self.cgroup, cgroup2_mount())
        with open(conf, "w", encoding="ascii") as f:
            f.write(f'{self.WATCH}cgroup "{path}"\nrun "{self.run_dir}"\nstate "{self.run_dir}/state"\n'
                    f'eve "{self.eve}"\npage off\nstore off\npolicy off\n')
        self.conf, self.starts = conf, 0
        self.start()
        self.load()

    def place(self):
        """Network namespace and cgroup."""
        return self.lab.client, self.lab.cgroup

    def start(self):
        self.starts += 1
        self.log = os.path.join(self.run_dir, f"log.{self.starts}")
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(["nsenter", f"--net=/run/netns/{self.ns}", EGRETD, "--foreground", "-c",
                                           self.conf], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.lab.children.append(self.child)
        wait_for("egretd to watch", self.watching)
        self.began = time.monotonic()

    def messages(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def watching(self):
        if self.child.poll() is not None:
            raise RuntimeError(f"egretd ended with {self.child.returncode}: {self.messages()}")
        return "watching" in self.messages() and os.path.exists(os.path.join(self.run_dir, "egret.sock"))

    def egret(self, *argv):
        return subprocess.run([EGRET, "--run", self.run_dir, *argv], capture_output=True, text=True, timeout=60)

    def load(self, policy=None):
        done = self.egret("policy", "load", "--enforce", "--force", policy or self.policy)
        if done.returncode:
            raise RuntimeError(f"policy load: {done.stdout}{done.stderr}")

    def clear(self):
        done = self.egret("policy", "clear")
        if done.returncode:
            raise RuntimeError(f"policy clear: {done.stdout}{done.stderr}")

    def at(self):
        return os.path.getsize(self.eve) if os.path.exists(self.eve) else 0

    def refusal(self, since, where, seconds=6):
        """The record of a refusal of something that went to one of these addresses, written after `since`."""
        def look():
            with open(self.eve, "rb") as f:
                f.seek(since)
                for line in f:
                    if b'"drop"' not in line or not line.endswith(b"\n"):
                        continue
                    r = json.loads(line)
                    if r["event_type"] == "drop" and (r.get("dest_ip") in where or r.get("drop", {}).get("summary")):
                        return r
            return None
        try:
            return wait_for("a record", look, seconds)
        except TimeoutError:
            return None

    def kill(self):
        self.child.kill()
        self.child.wait()

    def close(self):
        """Not `egret disarm`: that would take away what others on this machine have pinned."""
        if self.child.poll() is not None:
            self.start()
        self.clear()
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(20)


class Suite:
    POLICY, GUARD = POLICY, Guarded
    AGAIN = ("tcp_connect", "udp_unconnected", "exe_copy", "sni_other_tenant", "control_courier", "control_name")

    def __init__(self, cases, attempts, lab):
        self.cases, self.chosen, self.lab = cases, attempts, lab
        os.chmod(self.lab.tmp, 0o755)
        self.allowed = os.path.join(self.lab.tmp, "allowed")
        self.built = os.path.join(lab_.BUILD, "tests", "bypass")
        os.mkdir(self.allowed)
        shutil.copy(os.path.join(self.built, "bypass_courier"), os.path.join(self.allowed, "courier"))
        shutil.copy(os.path.join(HERE, "attempts", "job.py"), self.allowed)
        os.chmod(os.path.join(self.allowed, "job.py"), 0o755)
        # programs where an unprivileged user may start them, whatever folder this was built in
        self.programs = os.path.join(self.lab.tmp, "programs")
        os.mkdir(self.programs)
        for name in ("stranger", "sendmmsg", "uring", "ptrace", "race_exec", "forks", "preload.so"):
            shutil.copy(os.path.join(self.built, "bypass_" + name), os.path.join(self.programs, name))
        self.policies = [self.write("policy.egret", ""), self.write("other.egret", "allow to 192.0.2.1 port 1\n")]
        self.other = Other(self.lab, self.near())
        self.guard = None
        self.forbidden = {}             # mark -> name
        self.closed, self.opened = set(), set()  # marks that had got out when the policy was taken away; those that did until it was back

    def near(self):
        return self.lab.client

    def write(self, name, more):
        path = os.path.join(self.lab.tmp, name)
        with open(path, "w", encoding="ascii") as f:
            f.write(self.POLICY.format(A4=A4, F4=F4, allowed=self.allowed, more=more))
        return path

    def argv(self, attempt, mark, port):
        if not attempt.argv:
            return ["/usr/bin/python3", "-B", os.path.join(HERE, "attempts", attempt.name + ".py")]
        if attempt.argv[0].endswith(".py"):
            return ["/usr/bin/python3", "-B", os.path.join(HERE, "attempts", attempt.argv[0]), *attempt.argv[1:]]
        words = {"MARK": mark, "PORT": str(port), "F4": F4, "COURIER": os.path.join(self.allowed, "courier")}
        return [os.path.join(self.programs, attempt.argv[0]), *(words.get(w, w) for w in attempt.argv[1:])]

    def start(self, attempt, mark, port, cgroup):
        env = dict(os.environ, EGRET_SOURCE=lab_.SOURCE, EGRET_MARK=mark, EGRET_PORT=str(port), EGRET_ALLOWED=self.allowed,
                   EGRET_ATTEMPTS=self.programs, EGRET_CGROUP=cgroup)

        def enter():
            with open(os.path.join(cgroup, "cgroup.procs"), "w", encoding="ascii") as f:
                f.write("0")

        # no mount namespace of its own, as `ip netns exec` would make: the host's is where programs are what they are
        child = subprocess.Popen(["nsenter", f"--net=/run/netns/{self.lab.client}", *self.argv(attempt, mark, port)],
                                 env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 preexec_fn=enter, cwd="/")
        self.lab.children.append(child)
        return child

    def act(self, attempt, child, guarded):
        """What the world does meanwhile."""
        if attempt.phase:
            select.select([child.stdout], [], [], 20)
        if attempt.phase == "before":
            if guarded:
                self.guard.load()
                self.opened |= self.other.marks() - self.closed
            child.stdin.write(b"go\n")
        elif attempt.phase == "late":
            # two minutes after egretd began, when what was open before is told from what pretends
            while guarded and time.monotonic() < self.guard.began + 122:
                time.sleep(1)
            child.stdin.write(b"go\n")
        elif attempt.phase == "swap":
            n = 0
            while guarded and child.poll() is None:
                n += 1
                self.guard.load(self.policies[n % 2])
        elif attempt.phase == "forge":
            self.forge(attempt, child.stdout.readline().decode())
            child.stdin.write(b"go\n")
        elif attempt.phase == "inbound":
            code = ("import socket\ns=socket.create_connection(('10.77.0.1',7100),3)\n"
                    "s.settimeout(3)\nif s.recv(99):s.send(b'k')")
            self.lab.run("/usr/bin/python3", "-c", code, ns=self.lab.server, watched=False, check=False)

    def forge(self, attempt, port):
        """Answers in the resolver's name, from a place where no policy holds: the same host, or the link."""
        ns = self.lab.client if attempt.name == "dns_forged_outside" else self.lab.server
        code = ("import socket, sys\nsys.path.insert(0, sys.argv[1])\nimport aim\n"
                "s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)\n"
                "for ident in (77, 78):\n"
                "    s.sendto(aim.udp_packet(aim.ALLOWED4, aim.HERE4, 53, int(sys.argv[2]),\n"
                "                            aim.answer(aim.GOOD, aim.FORBIDDEN4, ident)), (aim.HERE4, 0))\n")
        env = dict(os.environ, EGRET_SOURCE=lab_.SOURCE, EGRET_MARK="none", EGRET_PORT="1", EGRET_ALLOWED="", EGRET_ATTEMPTS="")
        subprocess.run(["nsenter", f"--net=/run/netns/{ns}", "/usr/bin/python3", "-B", "-c", code,
                        os.path.join(HERE, "attempts"), port.strip()], env=env, check=True)

    def run(self, attempt, guarded):
        """(exit status, output, whether the mark was seen, eve.json's size before)"""
        index = [a.name for a in ATTEMPTS].index(attempt.name)
        mark = f"egx{index:03d}" + "".join(random.choice(string.ascii_lowercase) for _ in range(10))
        cgroup = os.path.join(self.lab.cgroup, attempt.name)
        if not os.path.isdir(cgroup):
            os.mkdir(cgroup)
        if guarded and attempt.phase == "before":
            # sockets of attempts that ended go on retransmitting for a while, and now nothing is in force
            self.closed = self.other.marks()
            self.guard.clear()
        since = self.guard.at() if guarded else 0
        child = self.start(attempt, mark, FIRST_PORT + index, cgroup)
        try:
            self.act(attempt, child, guarded)
            out, _ = child.communicate(timeout=ENDS_WITHIN)
            text = out.decode("utf-8", "replace").strip()
        except subprocess.TimeoutExpired:
            child.kill()
            text = "did not end: " + child.communicate()[0].decode("utf-8", "replace")
        seen = mark in self.other.marks()
        self.lab.empty_cgroup(cgroup)
        if guarded and isinstance(attempt.expect, Refused):
            self.forbidden[mark] = attempt.name
        return child.returncode, text, seen, since

    def free(self):
        """Without a policy everything must work. What this kernel has not got is left out by name."""
        ready = []
        for attempt in self.chosen:
            status, text, seen, _ = self.run(attempt, False)
            if status == 77 and not seen:
                self.cases.skip(attempt.name, text.splitlines()[-1][:120] if text else "not on this kernel")
                continue
            if self.cases.check(f"{attempt.name}: gets out where nothing is in force", seen, f"status {status}", text[-800:]):
                ready.append(attempt)
        return ready

    def guarded(self, ready):
        self.guard = self.GUARD(self.lab, self.policies[0])
        with open(os.path.join(lab_.SOURCE, "docs", "limits.md"), encoding="utf-8") as f:
            limits = f.read()
        for attempt in ready:
            began = time.monotonic()
            status, text, seen, since = self.run(attempt, True)
            what = attempt.expect
            if isinstance(what, Passes):
                self.cases.check(f"{attempt.name}: passes", seen, f"status {status}", text[-800:], self.last_drop(since))
            elif isinstance(what, Out):
                self.cases.check(f"{attempt.name}: docs/limits.md says why", f"**{what.why}.**" in limits and
                                 attempt.name in limits, what.why)
                self.cases.check(f"{attempt.name}: is out of reach, as docs/limits.md says", seen, f"status {status}",
                                 text[-800:])
            else:
                self.cases.check(f"{attempt.name}: is refused", not seen, f"status {status}", text[-800:])
                if what.to:
                    record = self.guard.refusal(since, what.to)
                    self.cases.check(f"{attempt.name}: its refusal is recorded", record, f"to {what.to}",
                                     self.last_drop(since))
            if time.monotonic() - began > 20:
                print(f"note: {attempt.name} took {time.monotonic() - began:.0f} s")
        self.without_egretd()
        late = {name for mark, name in self.forbidden.items() if mark in self.other.marks() - self.opened}
        self.cases.equal("nothing got out later either", late, set())
        self.cases.check("egretd is still there", self.guard.child.poll() is None, self.guard.messages()[-1500:])
        self.guard.close()

    def without_egretd(self):
        """The same goes on when egretd was killed, and when it is there again."""
        by_name = {a.name: a for a in self.chosen}
        for when, change in (("egretd killed", self.guard.kill), ("egretd back", self.guard.start)):
            change()
            for name in (x for x in self.AGAIN if x in by_name):
                status, text, seen, _ = self.run(by_name[name], True)
                self.cases.equal(f"{name} gets out, {when}", seen, isinstance(by_name[name].expect, Passes))

    def last_drop(self, since):
        with open(self.guard.eve, "rb") as f:
            f.seek(since)
            lines = [line for line in f if b'"drop"' in line]
        return lines[-1] if lines else "no drop in eve.json"


def main(kind, attempts, build):
    cases = lab_.golden.Cases()
    need(cases, "dnsmasq", "nft", "unshare", "nsenter")
    names = [a for a in sys.argv[1:] if a != "--free"]
    suite = kind(cases, [a for a in attempts if not names or a.name in names], build())
    ready = suite.free()
    if "--free" not in sys.argv:
        suite.guarded(ready)
    suite.lab.close()
    return cases.end()


if __name__ == "__main__":
    sys.exit(main(Suite, [a for a in ATTEMPTS if a.name not in GATEWAY_ONLY], on_one_link))
