#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Policy for a fleet, by two machines with names and labels of their own: groups, stages, what is refused and taken back.

    fleet_policy_hosts.py [SCENARIO...]
"""
import json
import os
import re
import shutil
import subprocess
import sys

import lab
from guarded import CONNECT, Guarded
from lab import EGRET, S4, wait_for

CASES = lab.golden.Cases()
OPEN, WEB_SHUT, DB_SHUT = 7201, 7202, 7203
# So many connections at once, each refused or not.
MANY = """
import socket, sys
for _ in range(int(sys.argv[3])):
    s = socket.socket()
    try:
        s.connect((sys.argv[1], int(sys.argv[2])))
    except OSError:
        pass
    s.close()
"""


class Publisher:
    """Keys, the folder that a bundle is made of, and the place where it is published."""

    def __init__(self, n):
        self.n, self.www, self.dir = n, os.path.join(n.tmp, "www"), os.path.join(n.tmp, "fleet")
        os.makedirs(self.dir)
        self.keys = [os.path.join(n.tmp, f"key{i}") for i in range(2)]
        for key in self.keys:
            lab.must("minisign", "-G", "-W", "-p", key + ".pub", "-s", key + ".sec")

    def public(self, key=0):
        with open(self.keys[key] + ".pub", encoding="ascii") as f:
            return f.read().splitlines()[1]

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="ascii") as f:
            f.write(text)

    def make(self, version, rollout="", web=f"deny to {S4} port {WEB_SHUT}", base=f"deny to {S4} port {DB_SHUT}", more="", key=0):
        """The bundle and its signature, in the publisher's folder; its path."""
        self.write("manifest", f'egret-fleet 1\nversion {version}\nnote "version {version} of the test"\n{more}\n'
                   f"group web hosts web-* labels prod policy web.egret\ngroup other policy base.egret\n{rollout}\n")
        self.write("web.egret", web + "\ndefault allow\n")
        self.write("base.egret", 'include "rules.egret"\ndefault allow\n')
        self.write("rules.egret", base + "\n")
        path = os.path.join(self.n.tmp, "fleet.bundle")
        done = subprocess.run([EGRET, "fleet", "policy", "pack", self.dir, "-o", path], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        lab.must("minisign", "-S", "-s", self.keys[key] + ".sec", "-m", path)
        return path

    def publish(self, path):
        for suffix in ("", ".minisig"):
            shutil.copy(path + suffix, os.path.join(self.www, "new"))
            os.rename(os.path.join(self.www, "new"), os.path.join(self.www, "fleet.bundle" + suffix))


class Host(Guarded):
    def __init__(self, n, publisher, name, labels="", source=f"https://{lab.ZONE}/fleet.bundle"):
        cgroup = n.make_cgroup(f"{n.name}.{name}")
        ca = f' ca "{n.tmp}/crt.pem"' if source.startswith("https") else ""
        super().__init__(n, policy=f'policy from "{source}" {{ key "{publisher.public()}"{ca} every 1s'
                         f'{f" labels {labels}" if labels else ""} }}', ns=n.client, host=name, cgroup=cgroup)
        self.watched = cgroup
        hosts = os.path.join(n.tmp, "hosts")
        with open(hosts, "w", encoding="ascii") as f:
            f.write(f"127.0.0.1 localhost\n{S4} {lab.ZONE}\n")
        lab.must(*self.inside("mount", "--bind", hosts, "/etc/hosts"))
        self.start()

    def fleet(self):
        return json.loads(self.egret("status", "--json").stdout)["policy"].get("fleet", {})

    def to(self, port):
        return self.lab.python(CONNECT, S4, port, 5, cgroup=self.watched).strip()

    def wait(self, seconds=30, **want):
        """Until its status says so."""
        try:
            return wait_for(f"{want}", lambda: all(self.fleet().get(k) == v for k, v in want.items()), seconds)
        except TimeoutError as e:
            raise TimeoutError(f"{e}: {self.fleet()} {self.messages()[-2000:]}") from None

    def wait_problem(self, text, key="problem"):
        return wait_for(f"'{text}'", lambda: text in self.fleet().get(key, ""), 30)

    def again(self):
        self.kill()
        self.start()


def opened(n):
    for port in (OPEN, WEB_SHUT, DB_SHUT):
        n.sink(port)
    n.nginx()
    return Publisher(n)


def groups_and_refusals(n):
    p = opened(n)
    p.publish(p.make(2))
    web, db = Host(n, p, "web-1", "prod"), Host(n, p, "db-1")
    web.wait(version=2, group="web", in_force=2)
    db.wait(version=2, group="other", in_force=2)
    CASES.equal("each group has its own policy", [h.to(x) for h in (web, db) for x in (OPEN, WEB_SHUT, DB_SHUT)],
                ["ok", "EPERM", "ok", "ok", "ok", "EPERM"])
    CASES.check("status says it", re.search(r"version 2, group web, stage all, on trial", web.egret("status").stdout),
                web.egret("status").stdout)
    CASES.check("policy show says who published it", "version 2, group web" in web.egret("policy", "show").stdout,
                web.egret("policy", "show").stdout)
    r = web.wait_record("the notice", lambda r: r["event_type"] == "notice" and r["egret"]["notice"].get("text") == "enforced")
    CASES.equal("a record says what became of it", [r["egret"]["notice"].get(k) for k in ("kind", "version", "group", "rules")],
                ["fleet_policy", 2, "web", 1])

    open_all = f"allow to {S4}"
    path = p.make(3, web=open_all, base=open_all)
    with open(path, "r+b") as f:
        text = f.read().replace(b"version 3 of", b"version 9 of")
        f.seek(0)
        f.write(text)
    p.publish(path)
    CASES.check("a bundle that was changed is refused", web.wait_problem("not that of this file"))
    p.publish(p.make(3, web=open_all, base=open_all, key=1))
    CASES.check("one by another key is refused", web.wait_problem("a key that"))
    p.publish(p.make(1, web=open_all, base=open_all))
    CASES.check("an older one is refused", web.wait_problem("older than 2"))
    p.publish(p.make(2, web=open_all, base=open_all))
    CASES.check("the same number with another text is refused", web.wait_problem("needs a new number"))
    p.publish(p.make(3, web=open_all, base=open_all, more="expires 2020-01-01"))
    CASES.check("one that has expired is refused", web.wait_problem("has expired"))
    os.unlink(os.path.join(p.www, "fleet.bundle.minisig"))
    CASES.check("without a signature there is nothing to take", web.wait_problem("404", key="away"))
    CASES.equal("all the while what was in force stays", [web.to(WEB_SHUT), db.to(DB_SHUT), web.fleet()["in_force"]],
                ["EPERM", "EPERM", 2])
    p.publish(p.make(4, web=f"deny to {S4} port {DB_SHUT}"))
    web.wait(version=4, in_force=4)
    CASES.equal("a newer one is taken again", [web.to(WEB_SHUT), web.to(DB_SHUT)], ["ok", "EPERM"])
    CASES.check("and nothing is wrong any more", not {"problem", "away"} & web.fleet().keys(), web.fleet())


def steps_back(n):
    p = opened(n)
    p.publish(p.make(1))
    web = Host(n, p, "web-1", "prod")
    web.wait(in_force=1)
    p.publish(p.make(2, web=f"deny to {S4} port {OPEN}", rollout="rollout for 60s step-back refusals 3x over 5"))
    web.wait(in_force=2, state="on trial")
    CASES.equal("the new one is in force", [web.to(OPEN), web.to(WEB_SHUT)], ["EPERM", "ok"])
    n.python(MANY, S4, OPEN, 30, cgroup=web.watched)
    web.wait(state="stepped back", in_force=1)
    CASES.equal("it goes back by itself", [web.to(OPEN), web.to(WEB_SHUT)], ["ok", "EPERM"])
    CASES.check("and says why", "refusals within a minute" in web.fleet()["stepped_back_why"], web.fleet())
    CASES.check("in the log", "version 2 is taken back" in web.messages(), web.messages())
    CASES.check("as a record", web.wait_record("the notice", lambda r: r["event_type"] == "notice" and
                                               r["egret"]["notice"].get("text") == "stepped-back"))
    web.again()
    wait_for("a few questions", lambda: web.fleet().get("answered", 0) >= 2)
    CASES.equal("it is not tried again", [web.fleet()["in_force"], web.fleet()["state"], web.to(WEB_SHUT)],
                [1, "stepped back", "EPERM"])
    # The daemon in the cgroup that it watches: what a policy does to all programs it does to egretd.
    with open(os.path.join(web.watched, "cgroup.procs"), "w", encoding="ascii") as f:
        f.write(str(web.child.pid))
    p.publish(p.make(3, web=f"deny to {S4} port 443"))
    wait_for("version 3 to be taken back", lambda: web.fleet().get("stepped_back_from") == 3)
    CASES.check("what refuses egretd itself is taken back", "it refuses egretd itself" in web.fleet()["stepped_back_why"], web.fleet())
    p.publish(p.make(4))
    web.wait(in_force=4)
    CASES.check("and a newer version is taken", True)


def stages(n):
    p = opened(n)
    p.publish(p.make(1))
    first, last = Host(n, p, "web-1", "prod"), Host(n, p, "web-2", '"prod, late"')
    for h in (first, last):
        h.wait(in_force=1)
    p.publish(p.make(2, web=f"deny to {S4} port {OPEN}", rollout="rollout watch 6s canary labels late for 9s"))
    for h in (first, last):
        h.wait(version=2)
        CASES.equal("stage 1: nobody enforces it", [h.to(OPEN), h.to(WEB_SHUT), h.fleet()["stage"]], ["ok", "EPERM", "shadow"])
    wait_for("flows that it would refuse", lambda: first.to(OPEN) and first.fleet()["would_refuse"] > 0, 5)
    last.again()
    last.wait(in_force=2)
    CASES.equal("stage 2: those who are first do, also after kill -9", [last.to(OPEN), first.to(OPEN), first.fleet()["in_force"]],
                ["EPERM", "ok", 1])
    last.again()
    CASES.equal("kill -9 on trial changes nothing", [last.to(OPEN), last.fleet()["state"]], ["EPERM", "on trial"])
    first.again()
    first.wait(in_force=2)
    CASES.equal("stage 3: all do", [first.to(OPEN), first.fleet()["stage"]], ["EPERM", "all"])
    last.wait(state="in force")
    first.wait(state="in force")
    first.again()
    CASES.equal("kept, over kill -9", [first.to(OPEN), first.fleet()["state"], first.fleet()["in_force"]], ["EPERM", "in force", 2])


def main():
    lab.need(CASES, "nginx", "minisign", "nsenter")
    names = sys.argv[1:] or ["groups_and_refusals", "steps_back", "stages"]
    for i, name in enumerate(names):
        n = lab.Lab(f"fp{i}")
        try:
            globals()[name](n)
        except (TimeoutError, RuntimeError, KeyError) as e:
            CASES.check(name, False, repr(e))
        n.close()
    return CASES.end()


if __name__ == "__main__":
    sys.exit(main())
