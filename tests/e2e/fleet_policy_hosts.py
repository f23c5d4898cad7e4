#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Policy for a fleet, by two machines with names and labels of their own: groups and stages. One machine: fleet_policy.py.

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


class Publisher:
    """A key, the folder that a bundle is made of, and the place where it is published."""

    def __init__(self, n):
        self.n, self.www, self.dir = n, os.path.join(n.tmp, "www"), os.path.join(n.tmp, "fleet")
        os.makedirs(self.dir)
        self.key = os.path.join(n.tmp, "key")
        lab.must("minisign", "-G", "-W", "-p", self.key + ".pub", "-s", self.key + ".sec")

    def public(self):
        with open(self.key + ".pub", encoding="ascii") as f:
            return f.read().splitlines()[1]

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="ascii") as f:
            f.write(text)

    def make(self, version, rollout="", web=f"deny to {S4} port {WEB_SHUT}", base=f"deny to {S4} port {DB_SHUT}"):
        """The bundle and its signature, in the publisher's folder; its path."""
        self.write("manifest", f'egret-fleet 1\nversion {version}\nnote "version {version} of the test"\n'
                   f"group web hosts web-* labels prod policy web.egret\ngroup other policy base.egret\n{rollout}\n")
        self.write("web.egret", web + "\ndefault allow\n")
        self.write("base.egret", 'include "rules.egret"\ndefault allow\n')
        self.write("rules.egret", base + "\n")
        path = os.path.join(self.n.tmp, "fleet.bundle")
        done = subprocess.run([EGRET, "fleet", "policy", "pack", self.dir, "-o", path], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        lab.must("minisign", "-S", "-s", self.key + ".sec", "-m", path)
        return path

    def publish(self, path):
        for suffix in ("", ".minisig"):
            shutil.copy(path + suffix, os.path.join(self.www, "new"))
            os.rename(os.path.join(self.www, "new"), os.path.join(self.www, "fleet.bundle" + suffix))


class Host(Guarded):
    def __init__(self, n, publisher, name, labels=""):
        cgroup = n.make_cgroup(f"{n.name}.{name}")
        super().__init__(n, policy=f'policy from "https://{lab.ZONE}/fleet.bundle" {{ key "{publisher.public()}" ca "{n.tmp}/crt.pem" every 1s'
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

    def again(self):
        self.kill()
        self.start()


def opened(n):
    for port in (OPEN, WEB_SHUT, DB_SHUT):
        n.sink(port)
    n.nginx()
    return Publisher(n)


def groups(n):
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
    names = sys.argv[1:] or ["groups", "stages"]
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
