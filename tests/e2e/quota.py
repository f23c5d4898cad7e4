#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A quota in a running egretd: passes until it is used up, then refuses, also after kill -9; what is counted agrees with records."""
import json
import os
import re
import subprocess
import sys
import time

import lab
from guarded import Guarded, connect
from lab import S4

CASES = lab.golden.Cases()
PORT, FREE = 7111, 7112
LIMIT = 300_000

# Sends some each time it is told to, and says how it went.
SENDER = """
import errno, socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.settimeout(8)
print("open", flush=True)
for line in sys.stdin:
    try:
        s.sendall(bytes(int(line)))
        print("sent", flush=True)
    except OSError as e:
        print("over", errno.errorcode.get(e.errno, str(e)), flush=True)
        break
"""


class Sender:
    def __init__(self, n):
        self.path = n.tmp
        self.child = n.start("/usr/bin/python3", "-c", SENDER, S4, PORT, ns=n.client, watched=True, stdin=True,
                             log="sender.log", ready=lambda _: "open" in self.said())

    def said(self):
        with open(os.path.join(self.path, "sender.log"), encoding="utf-8") as f:
            return f.read()

    def send(self, size):
        self.child.stdin.write(b"%d\n" % size)
        self.child.stdin.flush()

    def push(self):
        """Tries to send; the connection may be over."""
        try:
            self.send(1000)
        except OSError:
            pass
        time.sleep(0.2)


def quota(d):
    return json.loads(d.egret("quota", "--json").stdout)["quotas"][0]


def moved(d):
    """IP bytes of all flows to the port, as the last records of each say."""
    flows = {}
    for r in d.records():
        if r["event_type"] == "flow" and r.get("dest_port") == PORT:
            flows[r["flow_id"]] = r["flow"]["bytes_toserver"] + r["flow"]["bytes_toclient"]
    return sum(flows.values())


def scenario(n):
    # Neither begins anew in the middle of this.
    left = 3600 - time.time() % 3600
    period = "hour" if left > 60 else "day"
    d = Guarded(n)
    d.start()
    policy = f"allow to {S4} port {PORT} quota 300kb/{period}\ndefault allow\n"
    done = d.load(policy, "--enforce")
    CASES.check("load: says nothing of quotas", done.returncode == 0 and "quota" not in done.stderr, done)
    CASES.check("nothing is used", quota(d)["used"] == 0 and quota(d)["state"] == "ok", quota(d))
    s = Sender(n)
    s.send(100_000)
    lab.wait_for("use to be counted", lambda: quota(d)["used"] > 100_000)
    CASES.equal("below it others pass", connect(n, PORT), "ok")
    s.send(150_000)
    lab.wait_for("the warning", lambda: "80 % of the quota is used" in d.messages())
    line = next(x for x in d.messages().splitlines() if "80 %" in x)
    CASES.check("the warning names line, use and rule", re.search(
        r"loaded\.egret:1: 80 % of the quota is used: 2\d\d kB of 300 kB, until \d{4}-.*quota 300kb/", line), line)
    CASES.equal("and it still passes", connect(n, PORT), "ok")
    q = quota(d)
    CASES.check("quota: warned, and when it runs out", q["state"] == "warned" and q["left"] == LIMIT - q["used"], q)

    # kill -9 with an open connection: what it moved is counted once.
    before = q["used"]
    d.kill()
    s.send(10_000)
    d.start()
    after = lab.wait_for("what was moved meanwhile", lambda: quota(d)["used"] > before + 10_000 and quota(d)["used"], 10)
    CASES.check("kill -9: counted on, and nothing twice", before + 10_000 < after < before + 15_000, before, after)
    CASES.check("kill -9: not warned again", "80 %" not in d.messages(), d.messages())

    s.send(60_000)
    lab.wait_for("it to be used up", lambda: quota(d)["state"] == "spent")
    lab.wait_for("new connections to be refused", lambda: connect(n, PORT) == "EPERM", 10)
    CASES.equal("another port passes", connect(n, FREE), "ok")
    cut = quota(d)["used"]
    for _ in range(8):
        s.push()
    CASES.check("the open one moves nothing any more", quota(d)["used"] <= cut + 1000, cut, quota(d))
    CASES.check("the log says so once", d.messages().count("the quota is used up") == 1, d.messages())
    text = d.egret("quota").stdout
    CASES.check("egret quota for people", "spent → deny" in text and "loaded.egret:1" in text and "it has" in text, text)
    CASES.check("policy show says it", "(quota spent: deny)" in d.egret("policy", "show").stdout)
    metrics = d.egret("status", "--metrics").stdout
    CASES.check("metrics", re.search(r'^egret_quota_used_bytes\{rule=".*loaded\.egret:1"\} 3\d{5}$', metrics, re.M) and
                re.search(r"^egret_quota_limit_bytes\{.*\} 300000$", metrics, re.M), metrics)
    used = quota(d)["used"]

    d.kill()
    CASES.equal("kill -9: refused without egretd", connect(n, PORT), "EPERM")
    d.start()
    CASES.equal("restart: still spent", (quota(d)["state"], connect(n, PORT)), ("spent", "EPERM"))
    CASES.check("restart: nothing forgotten, nothing twice", used <= quota(d)["used"] <= used + 3000, used, quota(d))
    CASES.equal("the same text loaded anew is the same quota", (d.load(policy, "--enforce").returncode, quota(d)["state"],
                                                               connect(n, PORT)), (0, "spent", "EPERM"))
    CASES.equal("watch mode refuses nothing", (d.load(policy, "--watch").returncode, connect(n, PORT)), (0, "ok"))
    lab.wait_for("what would be refused", lambda: any(r["event_type"] == "flow" and r.get("dest_port") == PORT and
                                                      r["egret"].get("would_deny") for r in d.records()))
    used = quota(d)["used"]
    d.egret("disarm")
    d.stop()
    told = moved(d)
    CASES.check("used agrees with the records", abs(told - used) < 6000, told, used)


def main():
    lab.need(CASES, "nsenter", "unshare")
    n = lab.Lab("quo")
    try:
        n.sink(PORT)
        n.sink(FREE)
        scenario(n)
    except (RuntimeError, TimeoutError, subprocess.SubprocessError, OSError, ValueError, KeyError) as e:
        CASES.check("scenario", False, repr(e))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
