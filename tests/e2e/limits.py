#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Rates in a running egretd: how near flows come to them, up and down, alone and together, and that they end with their policy.

Goodput of TCP is without headers; what a rate is of are IP bytes. So 5 % here is less than 5 % of the rate."""
import json
import os
import subprocess
import sys
import threading
import time

import gateway_lab
import lab
from guarded import Guarded
from lab import S4

CASES = lab.golden.Cases()
PORT, FLOOD = 7200, 7201   # a server each: datagrams keep theirs busy
with open(os.path.join(lab.HERE, "rate_probe.py"), encoding="utf-8") as f:
    PROBE = f.read()


def ask(n, flows, seconds, skip, how, cc="cubic", rate=0, uid=0, port=PORT, **where):
    """Bits a second of each flow."""
    argv = ["/usr/bin/python3", "-c", PROBE, "ask", S4, port, flows, seconds, skip, how, cc, rate]
    if uid:
        argv = ["setpriv", f"--reuid={uid}", "--clear-groups", *argv]
    return json.loads(n.run(*argv, **where))


def jain(x):
    return sum(x) ** 2 / (len(x) * sum(v * v for v in x)) if any(x) else 0


def near(name, bits, rate, low=0.05, high=0.05):
    CASES.check(f"{name}: {bits / rate:.3f} of the rate", rate * (1 - low) <= bits <= rate * (1 + high), bits)


def load(d, rules):
    done = d.load(f"{rules}\ndefault allow\n", "--enforce")
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done


def one_flow(n, d):
    for rate in (10, 100):
        done = load(d, f"allow to {S4} port {PORT} limit {rate}mbit")
        CASES.check(f"{rate} Mbit/s: nothing is said to be missing", "enforced" not in done.stderr, done.stderr)
        near(f"one flow up, {rate} Mbit/s", ask(n, 1, 7, 2, "up")[0], rate * 1e6)
        # The sender is not ours, and slows down by losses alone.
        near(f"one flow down, {rate} Mbit/s", ask(n, 1, 8, 2, "down")[0], rate * 1e6, low=0.12)
    row = d.rule("allow")
    CASES.check("policy show: what was dropped", row["limited_packets"] > 0 and row["limited_bytes"] > 1000 and
                row["refused_packets"] == 0, row)
    CASES.check("policy show: a column of it", "LIMITED" in d.egret("policy", "show").stdout)
    metrics = d.egret("status", "--metrics").stdout
    CASES.check("metrics: the same", 'egret_limited_bytes_total{rule="' in metrics, metrics[:2000])


def several(n, d):
    load(d, f"allow to {S4} port {PORT} limit 20mbit")
    for how, low in (("up", 0.05), ("down", 0.15)):
        bits = ask(n, 8, 10, 3, how)
        near(f"8 flows {how}, 20 Mbit/s", sum(bits), 20e6, low=low)
        CASES.check(f"8 flows {how}: Jain {jain(bits):.3f}", jain(bits) >= 0.95, *bits)


def udp(n, d):
    load(d, f"allow to {S4} port {PORT} limit 10mbit as \"udp\"")
    for how in ("udp-up", "udp-down"):
        near(f"{how} at three times the rate", ask(n, 1, 6, 2, how, rate=30e6)[0], 10e6)


def greedy(n, d):
    """A flood of datagrams beside one connection."""
    load(d, f"allow to {S4} port {PORT}, {FLOOD} limit 20mbit")
    got = {}
    threads = [threading.Thread(target=lambda: got.update(tcp=ask(n, 1, 8, 3, "up")[0])),
               threading.Thread(target=lambda: got.update(udp=ask(n, 1, 8, 3, "udp-up", rate=60e6, port=FLOOD)[0]))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    both = [got["tcp"], got["udp"]]
    CASES.check(f"a flood takes no more than its share: {both[0] / 1e6:.1f} and {both[1] / 1e6:.1f} Mbit/s",
                jain(both) >= 0.95 and sum(both) <= 22e6, *both)


def users(n, d):
    load(d, f"allow to {S4} port {PORT} limit 10mbit each user")
    got = {}

    def one(uid):
        # the kernel's own choice: not everybody may have another
        got[uid] = sum(ask(n, 2, 7, 2, "up", "", uid=uid))

    threads = [threading.Thread(target=one, args=(uid,)) for uid in (0, 65534)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for uid, bits in got.items():
        near(f"each user: {uid}", bits, 10e6)


def quota(n, d):
    load(d, f"allow to {S4} port {PORT} quota 4mb/day then limit 5mbit")
    before = ask(n, 1, 1, 0, "up")[0]
    CASES.check("quota then limit: fast before it is spent", before > 50e6, before)
    lab.wait_for("the quota to be spent", lambda: json.loads(d.egret("quota", "--json").stdout)["quotas"][0]["state"] == "spent")
    CASES.check("quota: says what comes then", "limit 5" in d.egret("quota").stdout and
                "(quota spent: limit 5" in d.egret("policy", "show").stdout, d.egret("quota").stdout)
    near("quota then limit: spent", ask(n, 1, 6, 2, "up")[0], 5e6)


def swaps(n, d):
    """One connection that lives through policies: fast, 10 Mbit/s, fast again."""
    load(d, f"allow to {S4} port {PORT}")
    got = {}
    child = n.start("/usr/bin/python3", "-c", PROBE, "ask", S4, PORT, 1, 12, 0, "up", "cubic", ns=n.client, watched=True)

    def moved():
        flows = [r for r in map(json.loads, d.egret("flows", "--json").stdout.splitlines()) if r.get("dest_port") == PORT]
        return max((r["flow"]["bytes_toserver"] for r in flows if not r["flow"].get("state") == "closed"), default=0)

    def rate(seconds=2.0):
        a, at = moved(), time.monotonic()
        time.sleep(seconds)
        return 8 * (moved() - a) / (time.monotonic() - at)

    lab.wait_for("bytes", lambda: moved() > 1_000_000)
    got["before"] = rate(1)
    load(d, f"allow to {S4} port {PORT} limit 10mbit as \"swap\"")
    time.sleep(2)
    got["limited"] = rate(3)
    load(d, f"allow to {S4} port {PORT}")
    time.sleep(1.5)
    got["after"] = rate(1)
    n.stop(child)
    CASES.check("an open connection is limited by a load, and not by the next", got["before"] > 100e6 and
                got["limited"] < 14e6 and got["after"] > 100e6, got)


def not_in_force(n, d):
    d.load(f"allow to {S4} port {PORT} limit 2mbit\ndefault allow\n", "--watch")
    bits = ask(n, 1, 2, 0.5, "up")[0]
    CASES.check("watch mode: no rate", bits > 50e6, bits)
    load(d, f"allow to {S4} port {PORT} limit 2mbit each flow")
    d.kill()
    near("kill -9: goes on", ask(n, 1, 6, 2, "up")[0], 2e6)
    d.start()
    near("and after a restart", ask(n, 1, 6, 2, "up")[0], 2e6)
    d.egret("disarm")
    bits = ask(n, 1, 2, 0.5, "up")[0]
    CASES.check("disarm: no rate, no pins", bits > 50e6 and not d.pins(), bits, d.pins())


def gateway():
    """What is forwarded: nobody's socket is at hand, so drops alone hold the rate."""
    n = gateway_lab.build("ligw")
    try:
        serve(n)
        d = Guarded(n, conf="watch gateway\ngateway { inside lan0, lan1  outside wan0 }\n", ns=n.gateway, start=True)
        load(d, f"allow port {PORT} limit 10mbit each host")
        for how in ("up", "down"):
            near(f"forwarded {how}", ask(n, 1, 7, 2, how, watched=False)[0], 10e6, low=0.15)
        got = []
        threads = [threading.Thread(target=lambda ns=ns: got.append(ask(n, 2, 7, 2, "up", watched=False, ns=ns)))
                   for ns in (n.client, n.second)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for bits in got:
            near("forwarded, each host", sum(bits), 10e6, low=0.15)
        near("forwarded datagrams", ask(n, 1, 5, 2, "udp-up", rate=30e6, watched=False)[0], 10e6)
        row = d.rule("allow")
        CASES.check("forwarded: what was dropped is told", row["limited_packets"] > 1000, row)
        d.stop()
    finally:
        n.close()


def serve(n):
    for port in (PORT, FLOOD):
        n.start("/usr/bin/python3", "-c", PROBE, "serve", port,
                ready=lambda c: "serving" in open(c.log, encoding="utf-8").read())


def main():
    lab.need(CASES, "nsenter", "unshare", "setpriv", "nft")
    n = lab.Lab("lim")
    try:
        serve(n)
        d = Guarded(n)
        d.start()
        for part in (one_flow, several, udp, greedy, users, quota, swaps, not_in_force):
            if len(sys.argv) < 2 or part.__name__ in sys.argv[1:]:
                part(n, d)
        d.stop()
        if len(sys.argv) < 2 or "gateway" in sys.argv[1:]:
            gateway()
    except (RuntimeError, TimeoutError, subprocess.SubprocessError, OSError, ValueError, KeyError) as e:
        CASES.check("scenario", False, repr(e))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
