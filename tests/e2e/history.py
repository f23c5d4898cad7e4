#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""History under a real egretd: what eve.json says of flows that ended, history has, to the byte; killed, on a full disk, damaged."""
import collections
import contextlib
import glob
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import lab
from lab import S4

CASES = lab.golden.Cases()
CONF = "store sqlite\nretention { flows 30d max_size 100mb }\n"
PIECES = ("SELECT boot.boot, flow + base, count(*), sum(up), sum(down), sum(up_packets), sum(down_packets), max(bits & 8) "
          "FROM piece JOIN kind ON kind.id = piece.kind JOIN boot ON boot.id = kind.boot WHERE flow IS NOT NULL GROUP BY 1, 2")


def folder(d):
    return os.path.join(d.run_dir, "state", "history")


def status(d):
    return json.loads(d.egret("status", "--json").stdout)["history"]


def pieces(d):
    """Every flow of history: (boot, id) → (pieces, up, down, packets up, packets down, has it ended)."""
    found = {}
    for path in glob.glob(os.path.join(folder(d), "flows-*.db")):
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            found.update({row[:2]: row[2:] for row in db.execute(PIECES)})
    return found


def sums(d):
    """Flows and bytes of all minutes, packed or not, read by nothing of ours."""
    flows = up = down = 0
    for path in glob.glob(os.path.join(folder(d), "sums-*.db")):
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            row = db.execute("SELECT ifnull(sum(flows), 0), ifnull(sum(up), 0), ifnull(sum(down), 0) FROM now").fetchone()
            flows, up, down = flows + row[0], up + row[1], down + row[2]
            for (data,) in db.execute("SELECT data FROM sum WHERE step = 0"):
                numbers, value, shift = [], 0, 0
                for byte in data:
                    value |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        numbers.append(value)
                        value = shift = 0
                flows, up, down = flows + sum(numbers[1::8]), up + sum(numbers[2::8]), down + sum(numbers[3::8])
    return flows, up, down


def compare(name, d, until=None):
    """Flows whose last record was written before `until` (all: None) are in history, with the same counts."""
    kept, missing, wrong = pieces(d), [], []
    by_id = collections.defaultdict(list)
    for (_, flow), row in kept.items():
        by_id[flow].append(row)
    ended = [r for r in d.records() if r["event_type"] == "flow" and "reason" in r["flow"]]
    early = [r for r in ended if until is None or lab_time(r["timestamp"]) < until]
    for r in early:
        rows = by_id.get(r["flow_id"], [])
        f, up = r["flow"], "toserver" if r["egret"].get("direction") != "reply" else "toclient"
        down = {"toserver": "toclient", "toclient": "toserver"}[up]
        want = (f["bytes_" + up], f["bytes_" + down], f["pkts_" + up], f["pkts_" + down])
        if not rows:
            missing.append(r["flow_id"])
        elif [row[1:5] for row in rows] != [want] or not rows[0][5]:
            wrong.append((rows, want))
    CASES.check(f"{name}: {len(early)} ended flows, none missing", early and not missing, len(missing), missing[:5])
    CASES.check(f"{name}: to the byte", not wrong, wrong[:3])
    return kept


def lab_time(text):
    return time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone + float(text[19:26])


def check_sums(name, d, kept):
    """Each piece in the sums, once."""
    want = (sum(1 for row in kept.values() if row[0]), sum(r[1] for r in kept.values()), sum(r[2] for r in kept.values()))
    got = sums(d)
    CASES.check(f"{name}: sums of bytes are the sums of pieces", got[1:] == want[1:], got, want)


def traffic(n, count):
    n.run("bash", "-c", f"for i in $(seq {count}); do (exec 3<>/dev/tcp/{S4}/7001; head -c $((i * 37 % 3000 + 1)) /dev/zero >&3); done")


def remembers(n):
    """Started and stopped in order: all is there, the living flow too."""
    d = n.daemon(conf=CONF)
    traffic(n, 60)
    lab.wait_for("rows on disk", lambda: status(d)["rows"] >= 60)
    said = status(d)
    CASES.check("status: history", said["kind"] == "sqlite" and "problem" not in said and said["lost_queue"] == 0, said)
    CASES.check("egret status: one line of it", "history    " in d.egret("status").stdout)
    d.stop()
    kept = compare("in order", d)
    check_sums("in order", d, kept)
    CASES.check("the folder is not for everybody", os.stat(folder(d)).st_mode & 0o7 == 0)
    threads = [line for line in d.messages().splitlines() if "history:" in line]
    CASES.equal("nothing to complain about", threads, [])


def killed(n):
    """kill -9 while it writes, four times; each life goes on with the same files."""
    d = n.daemon(conf=CONF)
    untils = []
    for i in range(4):
        if i:
            d.start()
        loader = n.start("bash", "-c", f"while sleep 0.005; do (exec 3<>/dev/tcp/{S4}/7001; echo x >&3); done", ns=n.client,
                         watched=True)
        d.wait_record("a flow that ended some seconds ago", lambda r, begin=time.time(): r["event_type"] == "flow" and
                      "reason" in r["flow"] and begin < lab_time(r["timestamp"]) < time.time() - 2.5)
        time.sleep(0.2 * i)
        untils.append(time.time())
        d.stop(signal.SIGKILL)
        n.stop(loader, signal.SIGKILL)
        kept = compare(f"kill {i + 1}", d, untils[-1] - 2)
    d.start()
    traffic(n, 5)
    lab.wait_for("rows on disk", lambda: status(d)["rows"] >= 5)
    d.stop()
    kept = pieces(d)
    check_sums("after four kills", d, kept)
    CASES.check("no damage", not glob.glob(os.path.join(folder(d), "*damaged*")))


def damaged(n):
    """A file is overwritten under its feet, between two lives, and while it runs."""
    d = n.daemon(conf=CONF)
    traffic(n, 20)
    lab.wait_for("rows on disk", lambda: status(d)["rows"] >= 20)
    d.stop()
    path = glob.glob(os.path.join(folder(d), "flows-*.db"))[0]
    with open(path, "r+b") as f:
        f.write(os.urandom(os.path.getsize(path)))
    d.start()
    traffic(n, 20)
    lab.wait_for("rows on disk", lambda: status(d)["rows"] >= 20)
    CASES.check("damaged between two lives: told in status", status(d)["damaged"] == 1, status(d))
    CASES.check("and in the log", "set aside" in d.messages(), d.messages())
    CASES.check("and kept for a look", glob.glob(os.path.join(folder(d), "flows-*.db.damaged-*")))
    with open(path, "r+b") as f:
        f.write(os.urandom(os.path.getsize(path)))
    rows = status(d)["rows"]
    traffic(n, 60)
    lab.wait_for("the daemon to go on", lambda: status(d)["rows"] >= rows + 60)
    CASES.check("damaged while running: it goes on", status(d)["lost_queue"] + status(d)["lost_write"] == 0, status(d))
    d.stop()
    d.start()
    traffic(n, 20)
    lab.wait_for("rows on disk", lambda: status(d)["rows"] >= 20)
    CASES.check("and after it", status(d)["queued_bytes"] == 0 or "problem" not in status(d), status(d))
    d.stop()
    CASES.check("what came later is there", len(pieces(d)) >= 20, len(pieces(d)))


def full(n):
    """A disk without room: the daemon goes on, says so, and writes when there is room again."""
    d = n.daemon(conf=CONF)
    d.stop()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", os.path.join(d.run_dir, "state")], check=True)
    try:
        d.start()
        traffic(n, 10)
        lab.wait_for("rows on disk", lambda: status(d)["rows"] >= 10)
        ballast = os.path.join(d.run_dir, "state", "ballast")
        with open(ballast, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(4096))
            except OSError:
                pass
        traffic(n, 300)
        lab.wait_for("it to say so", lambda: "problem" in status(d))
        CASES.check("full: said in words", "space" in status(d)["problem"] or "full" in status(d)["problem"], status(d))
        CASES.check("full: egret status, too", status(d)["problem"][:40] in d.egret("status").stdout)
        CASES.check("full: nothing is lost yet", status(d)["lost_queue"] == 0 and status(d)["queued_bytes"] > 0, status(d))
        subprocess.run(["mount", "-o", "remount,size=64m", os.path.join(d.run_dir, "state")], check=True)
        os.unlink(ballast)
        lab.wait_for("all of it on disk", lambda: status(d)["queued_bytes"] == 0 and "problem" not in status(d))
        d.stop()
        kept = compare("after a full disk", d)
        check_sums("after a full disk", d, kept)
    finally:
        if d.child.poll() is None:
            d.stop()
        subprocess.run(["umount", os.path.join(d.run_dir, "state")], check=True)


def main():
    lab.need(CASES, "mount", "umount")
    n = lab.Lab("his")
    try:
        n.sink(7001)
        for scenario in (remembers, killed, damaged, full):
            try:
                scenario(n)
            except (RuntimeError, TimeoutError, subprocess.SubprocessError, OSError, sqlite3.Error) as e:
                CASES.check(scenario.__name__, False, repr(e))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
