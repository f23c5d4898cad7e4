#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How many of the uploads put into made-up traffic are found, and how many findings the traffic gives without them.

usage: volume.py                 a small site, three kinds of upload (20 s)
       volume.py --write         three sites of 50 machines and 28 days, all kinds; becomes "## Upload" of bench/QUALITY.md (4 min)

The traffic is that of tools/inject; every draw comes from a seed.
"""
import collections
import importlib.machinery
import importlib.util
import json
import os
import sys
import tempfile

SOURCE = os.environ.get("EGRET_SOURCE", os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))))
sys.path.insert(0, os.path.join(SOURCE, "tests", "golden"))

import published                    # noqa: E402
from golden import Cases, Read      # noqa: E402

MOST_ALERTS = 0.05  # medium or above, a machine and week
LEAST_FOUND = 0.95

# What is put in (words of tools/inject --upload), and whether it must be found.
SMALL = [("size=50mb,over=1h", True), ("size=200mb,over=7d", True), ("size=500mb,over=1h,peer=used", False)]
FULL = [("size=10mb,over=1h", False), ("size=25mb,over=1h", False), ("size=50mb,over=1h", True), ("size=200mb,over=1h", True),
        ("size=2gb,over=10m,flows=1", True), ("size=400mb,over=8h,flows=1", True),
        ("size=100mb,over=7d", False), ("size=200mb,over=7d", True), ("size=200mb,over=7d,flows=40", True),
        ("size=1gb,over=20d", True), ("size=500mb,over=1h,peer=used", False), ("size=2gb,over=7d,peer=used", False),
        ("size=500mb,over=1h,peer=prevalent", False)]

INTRO = """## Upload

`tests/quality/volume.py --write` wrote this. The traffic is made up by `tools/inject` (there is no public corpus of uploads
with labels): machines of people, servers, backups and things that report, with heavy tails, for 28 days. Into each machine's
traffic one upload is put at a time chosen by chance after the third day; found is what becomes a finding of medium or above
that names the machine and the peer. Asked for: at least 95 % of 50 MB an hour and of 200 MB in 7 days to a new peer, with at
most 0.05 findings a machine and week where nothing was put in. What is sent to a peer that the machine or the whole site
uses anyway has only its amount against it, which no recording without programs can tell from a large day's work.

"""


def load_inject():
    loader = importlib.machinery.SourceFileLoader("inject", os.path.join(SOURCE, "tools", "inject"))
    spec = importlib.util.spec_from_loader("inject", loader)
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


def findings(folder):
    """(machine, peer) -> what is said of them."""
    read = Read("--quiet", "--filter", "port:1", folder)  # of flows only the findings are wanted
    if read.status:
        raise RuntimeError(read.err)
    return {(f["entity"], f["peer"]): f for f in (r["egret"]["finding"] for r in read.of("alert") if "finding" in r["egret"])}


def run(inject, size, seeds, kinds):
    """Per kind [found, put in, other findings], and for the background [findings, machine-weeks, what]."""
    entities, days = map(int, size.split("x"))
    rows, background = collections.defaultdict(lambda: [0, 0, 0]), [0, 0.0, []]
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            inject.make(folder, size, seed)
            before = findings(folder)
            background[0] += len(before)
            background[1] += entities * days / 7
            background[2] += [f["explain"] for f in before.values()]
            for kind, _ in kinds:
                inject.make(folder, size, seed, [kind + ",entity=all"])
                with open(os.path.join(folder, "truth.json"), encoding="utf-8") as f:
                    truth = {(t["entity"], t["peer"]) for t in json.load(f)}
                found = findings(folder)
                rows[kind][0] += len(truth & set(found))
                rows[kind][1] += len(truth)
                rows[kind][2] += len(set(found) - truth)
    return rows, background


def words(kind):
    w = dict(x.split("=") for x in kind.split(","))
    text = f"{w['size']} in {w['over']}"
    if w.get("flows"):
        text += f", {w['flows']} flow" + ("s" if w["flows"] != "1" else "")
    return text.replace("mb", " MB").replace("gb", " GB"), {"used": "used by the machine", "prevalent": "used by most"}.get(
        w.get("peer"), "new")


def table(rows, background, size, seeds):
    text = f"{len(list(seeds))} sites of {size.replace('x', ' machines and ')} days: {background[0]} findings without anything put in, " \
           f"{background[0] / background[1]:.4f} a machine and week.\n\n"
    text += "| put in | peer | found | of | other findings in the same run |\n|---|---|--:|--:|--:|\n"
    for kind, (found, of, other) in rows.items():
        text += "| {} | {} | {:.1f} % | {} | {} |\n".format(*words(kind), 100 * found / of, of, other)
    for what in background[2]:
        text += f"\nWithout anything put in: {what}.\n"
    return text


def main():
    cases, full = Cases(), "--write" in sys.argv
    size, seeds, kinds = ("50x28", range(1, 4), FULL) if full else ("16x12", range(11, 13), SMALL)
    rows, background = run(load_inject(), size, seeds, kinds)
    text = table(rows, background, size, seeds)
    print(text)
    if full:
        published.put(INTRO + text)
    cases.check("quiet where nothing was put in", background[0] / background[1] <= MOST_ALERTS, *background[2])
    for kind, must in kinds:
        found, of, _ = rows[kind]
        if must:
            cases.check(f"{kind}: found", found >= LEAST_FOUND * of, f"{found} of {of}")
        else:
            cases.check(f"{kind}: measured", of > 0)
    return cases.end()


sys.exit(main())
