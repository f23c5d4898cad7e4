#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Policy for a fleet: bundles packed by egret, signed by Debian's minisign, served by nginx over TLS or lying in a folder, taken by egretd."""
import json
import os
import re
import shutil
import socket
import subprocess
import time

import lab
from guarded import Guarded, connect
from lab import S4

CASES = lab.golden.Cases()
GOOD, BAD, OTHER = 7401, 7402, 7403
HOST = socket.gethostname()

# Connections one after the other until it is ended; each that is refused counts.
KNOCK = """
import socket, sys, time
while True:
    s = socket.socket()
    s.settimeout(1)
    try:
        s.connect((sys.argv[1], int(sys.argv[2])))
    except OSError:
        pass
    s.close()
    time.sleep(0.02)
"""


class Publisher:
    """A folder of policies, a key of minisign's, and where bundles are put for hosts."""

    def __init__(self, n):
        self.n = n
        self.dir = os.path.join(n.tmp, "policies")
        self.out = os.path.join(n.tmp, "www", "fleet.bundle")
        os.makedirs(self.dir)
        os.makedirs(os.path.dirname(self.out), exist_ok=True)
        self.keys = [self.key("one"), self.key("two")]

    def key(self, name):
        """Without a passphrase, as a robot would have one."""
        sec, pub = os.path.join(self.n.tmp, f"{name}.key"), os.path.join(self.n.tmp, f"{name}.pub")
        lab.must("minisign", "-G", "-f", "-W", "-s", sec, "-p", pub)
        with open(pub, encoding="ascii") as f:
            return sec, f.read().splitlines()[1], pub

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="utf-8") as f:
            f.write(text)

    def pack(self, manifest, out=None):
        self.write("manifest", "egret-fleet 1\n" + manifest)
        return subprocess.run([lab.EGRET, "fleet", "policy", "pack", self.dir, "-o", out or self.out], capture_output=True, text=True)

    def sign(self, out=None, key=0, *more):
        lab.must("minisign", "-S", "-s", self.keys[key][0], "-m", out or self.out, *more)

    def publish(self, manifest, key=0, *more):
        done = self.pack(manifest)
        assert done.returncode == 0, done.stderr
        self.sign(None, key, *more)


def policy_of(p, where, more=""):
    return f'policy from "{where}" {{\n key "{p.keys[0][1]}"\n labels "prod, web"\n every 1s\n {more}\n}}'


def fleet(d):
    return json.loads(d.egret("status", "--json").stdout)["policy"].get("fleet", {})


def wait_fleet(d, what, seconds=30, **want):
    def look():
        f = fleet(d)
        return f if all(f.get(k) == v for k, v in want.items()) else None
    try:
        return lab.wait_for(what, look, seconds)
    except TimeoutError:
        print(json.dumps(fleet(d), indent=1), d.messages()[-3000:])
        raise


def notices(d, text):
    return [r["egret"]["notice"] for r in d.records() if r["event_type"] == "notice" and r["egret"]["notice"]["kind"] == "fleet_policy" and
            r["egret"]["notice"]["text"] == text]


def refuses(port):
    return f"deny to {S4} port {port}/tcp\ndefault allow\n"


def end(d):
    """What is pinned goes, too: the next daemon watches the same cgroup."""
    d.stop()
    done = d.egret("disarm")
    assert done.returncode == 0 and not d.pins(), done.stderr


def packing(p):
    """What is shipped is checked before."""
    p.write("base.egret", refuses(BAD))
    p.write("broken.egret", "deny to set nothing\n")
    done = p.pack("version 1\ngroup all policy broken.egret\n")
    CASES.check("pack: a policy with a mistake is not packed", done.returncode == 1 and "unknown set" in done.stderr, done.stderr)
    CASES.check("pack: nothing was written", not os.path.exists(p.out))
    p.write("false.egret", f"deny to {S4}\nexpect allow to {S4} port 443\n")
    done = p.pack("version 1\ngroup all policy false.egret\n")
    CASES.check("pack: an expectation that fails is a mistake", done.returncode == 1, done.stderr)
    p.write("away.egret", 'include "../secret.egret"\n')
    with open(os.path.join(p.n.tmp, "secret.egret"), "w", encoding="ascii") as f:
        f.write("default allow\n")
    done = p.pack("version 1\ngroup all policy away.egret\n")
    CASES.check("pack: what is included lies in the folder", done.returncode == 1 and "in its folder" in done.stderr, done.stderr)
    done = p.pack("version 1\ngroup all policy absent.egret\n")
    CASES.check("pack: a policy that is not there", done.returncode == 1 and "absent.egret" in done.stderr, done.stderr)
    p.write("web.egret", 'include "parts/bad.egret"\ndefault allow\n')
    os.makedirs(os.path.join(p.dir, "parts"))
    p.write("parts/bad.egret", f"deny to {S4} port {BAD}/tcp\n")
    done = p.pack('version 3\nnote "first"\ngroup web hosts web-*, www labels prod policy web.egret\ngroup other labels lab policy base.egret watch\n'
                  "rollout watch 1h canary 10% for 2h step-back refusals 3x\n")
    CASES.check("pack", done.returncode == 0 and "version 3, 2 groups" in done.stdout, done.stdout + done.stderr)
    p.sign()
    show = ["fleet", "policy", "show", p.out]
    done = subprocess.run([lab.EGRET, *show, "--key", p.keys[0][2]], capture_output=True, text=True)
    CASES.check("show: signed, groups, roll-out", done.returncode == 0 and all(
        x in done.stdout for x in ("signed by ", "version 3", "note: first", "web-*, www", "parts/bad.egret", "10% of hosts first")), done.stdout)
    done = subprocess.run([lab.EGRET, *show, "--key", p.keys[1][1]], capture_output=True, text=True)
    CASES.check("show: another's key", done.returncode == 1 and "not signed by" in done.stderr, done.stderr)
    done = subprocess.run([lab.EGRET, *show], capture_output=True, text=True)
    CASES.check("show: without a key it says that nothing is verified", "not verified" in done.stdout, done.stdout)

    def tried(host, labels=""):
        done = subprocess.run([lab.EGRET, "fleet", "policy", "try", p.out, "--host", host, "--labels", labels], capture_output=True, text=True)
        return done.returncode, done.stdout.splitlines()[1]
    CASES.equal("try: a host of a group", tried("web-1", "prod"), (0, "group web: enforce web.egret"))
    CASES.equal("try: a host of another", tried("web-1", "lab"), (0, "group other: watch base.egret"))
    CASES.equal("try: a host of none", tried("db-1")[0], 1)


def documented(n):
    """The commands of docs/fleet.md about packing and signing; with a key that has no passphrase, for there is nobody to ask."""
    with open(os.path.join(lab.SOURCE, "docs", "fleet.md"), encoding="utf-8") as f:
        commands = re.findall(r"^```fleet\n(.*?)^```", f.read(), re.M | re.S)[0].replace("minisign -G", "minisign -G -W")
    folder = os.path.join(n.tmp, "documented")
    os.makedirs(os.path.join(folder, "fleet"))
    for name in ("web.egret", "base.egret"):
        with open(os.path.join(folder, "fleet", name), "w", encoding="ascii") as f:
            f.write(refuses(BAD))
    done = subprocess.run(["sh", "-ex"], input=commands, text=True, capture_output=True, cwd=folder,
                          env=dict(os.environ, PATH=os.path.dirname(lab.EGRET) + ":" + os.environ["PATH"]))
    CASES.check("docs/fleet.md: its commands work", done.returncode == 0 and "group web: enforce web.egret" in done.stdout and
                "signed by" in done.stdout, done.stdout, done.stderr)


def taking(n, p):
    """By HTTPS: taken and enforced; what is not signed well, older or broken is not, and what is in force stays."""
    p.publish('version 3\nnote "first"\ngroup all policy web.egret\nrollout for 2s\n')
    d = Guarded(n, ns=n.client, policy=policy_of(p, f"https://{S4}/fleet.bundle", f'ca "{n.tmp}/crt.pem"'), start=True)
    wait_fleet(d, "version 3 to be kept", in_force=3, state="in force")
    CASES.equal("https: taken and enforced", [connect(n, GOOD), connect(n, BAD)], ["ok", "EPERM"])
    CASES.check("https: told", len(notices(d, "took")) == 1 and notices(d, "kept")[0]["version"] == 3 and notices(d, "kept")[0]["rules"] == 1,
                notices(d, "kept"))
    shown = d.egret("status").stdout
    CASES.check("status says version, group, stage", "version 3, group all, stage all, in force" in shown, shown)
    shown = d.egret("policy", "show").stdout
    CASES.check("policy show says where it comes from", "fleet version 3, group all" in shown, shown)

    def not_taken(what, words):
        lab.wait_for(what, lambda: words in fleet(d).get("problem", ""), 20)
        CASES.check(f"not taken: {what}", fleet(d)["in_force"] == 3 and connect(n, BAD) == "EPERM" and connect(n, GOOD) == "ok", fleet(d))
    p.write("web.egret", refuses(GOOD))
    p.publish("version 4\ngroup all policy web.egret\n", 1)
    not_taken("signed by another", "not signed by a key")
    p.publish("version 2\ngroup all policy web.egret\n")
    not_taken("older", "older than 3")
    p.publish("version 3\ngroup all policy web.egret\n")
    not_taken("the same number, other text", "needs a new number")
    p.publish("version 4\nexpires 2020-01-01\ngroup all policy web.egret\n")
    not_taken("expired", "has expired")
    p.publish("version 4\ngroup all policy web.egret\n", 0, "-l")
    not_taken("signed in the old way", "old way")
    p.publish("version 4\ngroup all policy web.egret\n")
    with open(p.out, "r+b") as f:
        f.seek(30)
        f.write(b"#")
    os.utime(p.out)
    not_taken("changed after it was signed", "not that of this file")
    with open(p.out, "wb") as f:
        f.write(b"no bundle\n")
    p.sign()
    not_taken("signed, and no bundle", "no bundle")
    os.remove(p.out + ".minisig")
    lab.wait_for("the signature to be missed", lambda: "404" in fleet(d).get("away", ""), 30)
    CASES.check("not taken: without a signature", fleet(d)["in_force"] == 3 and connect(n, BAD) == "EPERM", fleet(d))
    told = d.messages().count("older than 3")
    CASES.equal("each mistake is said once", told, 1)
    p.write("web.egret", refuses(OTHER))
    p.publish("version 5\ngroup db labels db policy web.egret\n")
    wait_fleet(d, "a version without a group", version=5, state="no group takes this host")
    CASES.equal("no group: what is in force stays", [connect(n, GOOD), connect(n, BAD)], ["ok", "EPERM"])
    p.publish("version 6\ngroup all labels web policy web.egret\nrollout for 2s\n")
    wait_fleet(d, "version 6", in_force=6)
    CASES.equal("the next version", [connect(n, GOOD), connect(n, BAD), connect(n, OTHER)], ["ok", "ok", "EPERM"])
    d.egret("policy", "clear")
    lab.wait_for("it to be put in force again after policy clear", lambda: connect(n, OTHER) == "EPERM", 10)
    CASES.check("cleared by hand: put in force again", fleet(d)["in_force"] == 6, fleet(d))
    return d


def restarting(n, p, d):
    """Without a network, and after kill -9."""
    wait_fleet(d, "version 6 to be kept", state="in force")
    d.kill()
    CASES.equal("killed: what is in force stays", [connect(n, GOOD), connect(n, OTHER)], ["ok", "EPERM"])
    moved = p.out + ".away"
    os.rename(p.out + ".minisig", moved)
    d.start()
    f = fleet(d)
    CASES.check("after a kill and without a network it is there", f["in_force"] == 6 and f["state"] == "in force", f)
    CASES.equal("and enforced", [connect(n, GOOD), connect(n, OTHER)], ["ok", "EPERM"])
    d.stop()
    shutil.rmtree(os.path.join(d.run_dir, "state", "policy"))
    d.start()
    wait_fleet(d, "what was taken to be put in force again", in_force=6)
    CASES.equal("in force again, from what was taken", [connect(n, GOOD), connect(n, OTHER)], ["ok", "EPERM"])
    os.rename(moved, p.out + ".minisig")
    # killed at any moment of a change: one of the two is in force, whole
    for version in range(7, 11):
        port = BAD if version % 2 else OTHER
        p.write("web.egret", refuses(port))
        p.publish(f"version {version}\ngroup all policy web.egret\nrollout for 1s\n")
        time.sleep(0.3 * (version - 6))
        d.kill()
        got = [connect(n, BAD), connect(n, OTHER)]
        CASES.check(f"killed while version {version} comes: one of the two is in force", sorted(got) == ["EPERM", "ok"], got)
        d.start()
        wait_fleet(d, f"version {version}", in_force=version)
        CASES.equal(f"version {version} after it", [connect(n, BAD), connect(n, OTHER)],
                    ["EPERM", "ok"] if port == BAD else ["ok", "EPERM"])
    end(d)


def stepping_back(n, p):
    """From a folder: a version that refuses what is needed goes by itself, and does not come back."""
    folder = os.path.dirname(p.out)
    p.write("web.egret", refuses(BAD))
    p.publish("version 20\ngroup all policy web.egret\nrollout for 2s step-back refusals 3x\n")
    d = Guarded(n, ns=n.client, policy=policy_of(p, folder), start=True)
    wait_fleet(d, "version 20 to be kept", in_force=20, state="in force")
    knock = n.start("/usr/bin/python3", "-c", KNOCK, S4, GOOD, ns=n.client, watched=True)
    p.write("web.egret", refuses(GOOD))
    p.publish('version 21\nnote "does harm"\ngroup all policy web.egret\nrollout for 60s step-back refusals 3x\n')
    f = wait_fleet(d, "to step back", state="stepped back")
    CASES.check("stepped back: why", "refusals within a minute" in f["stepped_back_why"] and f["stepped_back_from"] == 21 and f["in_force"] == 20, f)
    CASES.equal("stepped back: the version before is in force", [connect(n, GOOD), connect(n, BAD)], ["ok", "EPERM"])
    told = notices(d, "stepped-back")
    CASES.check("stepped back: recorded", len(told) == 1 and told[0]["version"] == 21 and told[0]["refusals_after"] > 20, told)
    CASES.check("stepped back: loud", "version 21 is taken back" in d.messages())
    d.stop()
    d.start()
    time.sleep(3)
    f = fleet(d)
    CASES.check("not tried again after a restart", f["in_force"] == 20 and f["state"] == "stepped back" and connect(n, GOOD) == "ok", f)
    n.stop(knock)
    p.write("web.egret", refuses(OTHER))
    p.publish("version 22\ngroup all policy web.egret\nrollout for 2s step-back refusals 3x\n")
    wait_fleet(d, "a newer version is taken again", in_force=22, state="in force")
    CASES.equal("the newer version", [connect(n, GOOD), connect(n, OTHER)], ["ok", "EPERM"])
    # a newer one that only waits ends no trial
    knock = n.start("/usr/bin/python3", "-c", KNOCK, S4, BAD, ns=n.client, watched=True)
    p.write("web.egret", f"deny to {S4} port {BAD}\n" + refuses(OTHER))
    p.publish("version 23\ngroup all policy web.egret\nrollout for 60s step-back refusals 3x\n")
    wait_fleet(d, "version 23 to be on trial", in_force=23)
    p.publish("version 24\ngroup db labels db policy web.egret\n")
    f = wait_fleet(d, "version 23 to step back, though 24 was taken", version=24, stepped_back_from=23)
    CASES.equal("a trial goes on when a newer one comes", [f["in_force"], connect(n, BAD), connect(n, OTHER)], [22, "ok", "EPERM"])
    n.stop(knock)
    return d


def waiting(n, p, d):
    """A version that is watched first weakens nothing, and what it would refuse is counted."""
    p.write("web.egret", refuses(GOOD))
    p.publish("version 30\ngroup all policy web.egret\nrollout watch 1h\n")
    wait_fleet(d, "version 30 to wait", version=30, state="waits", stage="shadow", in_force=22)
    lab.wait_for("flows that it would refuse", lambda: connect(n, GOOD) == "ok" and fleet(d)["would_refuse"] > 0, 30)
    CASES.equal("waits: what is in force stays", [connect(n, GOOD), connect(n, OTHER)], ["ok", "EPERM"])
    p.publish("version 31\ngroup all policy web.egret\nrollout canary labels first for 1h\n")
    wait_fleet(d, "version 31 to wait", version=31, state="waits", stage="canary", in_force=22)
    CASES.equal("not among the first: what is in force stays", [connect(n, GOOD), connect(n, OTHER)], ["ok", "EPERM"])
    p.publish("version 32\ngroup all policy web.egret\nrollout canary labels prod for 1h\n")
    wait_fleet(d, "version 32 to be on trial", state="on trial", stage="canary", in_force=32)
    CASES.equal("among the first: enforced", [connect(n, GOOD), connect(n, OTHER)], ["EPERM", "ok"])
    d.load(refuses(BAD))
    wait_fleet(d, "it to be overruled", state="overruled by hand")
    CASES.equal("loaded by hand: that counts", [connect(n, GOOD), connect(n, BAD)], ["ok", "EPERM"])
    end(d)


def own_way(n, p):
    """A version that refuses egretd itself is no version to stay with. egretd is in the watched cgroup, as on a host."""
    p.write("web.egret", refuses(BAD))
    p.publish("version 40\ngroup all policy web.egret\nrollout for 2s\n")
    d = Guarded(n, ns=n.client, policy=policy_of(p, f"https://{S4}/fleet.bundle", f'ca "{n.tmp}/crt.pem"'), start=True)
    with open(os.path.join(n.cgroup, "cgroup.procs"), "w", encoding="ascii") as f:
        f.write(str(d.child.pid))
    wait_fleet(d, "version 40 to be kept", in_force=40, state="in force")
    p.write("web.egret", f"deny to {S4} port 443\ndefault allow\n")
    p.publish("version 41\ngroup all policy web.egret\nrollout for 60s\n")
    f = wait_fleet(d, "to step back", state="stepped back")
    CASES.check("its own way: why", "refuses egretd itself" in f["stepped_back_why"] and f["in_force"] == 40, f)
    p.write("web.egret", refuses(OTHER))
    p.publish("version 42\ngroup all policy web.egret\nrollout for 2s\n")
    wait_fleet(d, "a newer version is still taken", in_force=42, state="in force")
    d.stop()


def main():
    lab.need(CASES, "nginx", "minisign")
    n = lab.Lab("fleet")
    try:
        n.nginx(f"IP:{S4}")
        for port in (GOOD, BAD, OTHER):
            n.sink(port)
        p = Publisher(n)
        packing(p)
        documented(n)
        d = taking(n, p)
        restarting(n, p, d)
        d = stepping_back(n, p)
        waiting(n, p, d)
        own_way(n, p)
    finally:
        n.close()
    return CASES.end()


if __name__ == "__main__":
    raise SystemExit(main())
