#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""./dev bench ask [FLOWS]: how long a whole question to the history takes, from the start of the process that answers to its last line.

bench/history.py measures reading alone; this adds the process, the filter, groups, sorting and JSON, over the same flows.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import results

BENCH = os.path.join(results.BUILD, "bench", "bench-history")
EGRETD = os.path.join(results.BUILD, "src", "egretd")
DAYS, ROUNDS = 30, 5
END = 1767139200                        # of bench/history_rows.h
DAY = {"from": END - 86400, "to": END}
ODD_DAY = {"from": END - 86400 - 1234, "to": END - 1234}
MONTH = {"from": END - DAYS * 86400, "to": END}
QUESTIONS = (
    ("top talkers of 24 h, whole hours", "100 ms", {"do": "usage", "by": "name", **DAY}),
    ("top talkers of 24 h, from any second", "100 ms", {"do": "usage", "by": "name", **ODD_DAY}),
    ("a month by app and name", "200 ms", {"do": "usage", "by": "app,name", **MONTH}),
    ("a month of one program by name", "", {"do": "usage", "by": "name", "filter": "proc:program3", **MONTH}),
    ("a month by country and protocol", "", {"do": "usage", "by": "country,protocol", **MONTH}),
    ("one peer's history: who", "50 ms", {"do": "who", "what": "5.44.185.56", **MONTH}),
    ("one peer's flows of the month", "50 ms", {"do": "flows", "filter": "addr:5.44.185.56", "limit": 100, **MONTH}),
    ("the newest 100 flows", "", {"do": "flows", "limit": 100, **MONTH}),
    ("the newest 100 flows of one program", "", {"do": "flows", "filter": "proc:program30", "limit": 100, **MONTH}),
    ("a timeline of 24 h by app", "", {"do": "timeline", "by": "app", **DAY}),
    ("a timeline of the month", "", {"do": "timeline", **MONTH}),
    ("24 h by port (pieces)", "", {"do": "usage", "by": "port", **DAY}),
)


def ask(state, question):
    """(milliseconds, lines) of one answer; its caller has nothing open that the process might take for its inputs."""
    begin = time.monotonic()
    done = subprocess.run([EGRETD, "--answer", state, "", "", ""], input=json.dumps(question).encode(), capture_output=True,
                          check=True)
    took = 1000 * (time.monotonic() - begin)
    lines = done.stdout.splitlines()
    last = json.loads(lines[-1])
    if "error" in last:
        sys.exit(f"{question}: {last['error']}")
    return took, len(lines), last.get("source", "")


def measure(state):
    rows = []
    for title, goal, question in QUESTIONS:
        runs = [ask(state, question) for _ in range(ROUNDS)]
        rows.append((title, f"{statistics.median(r[0] for r in runs):.0f} ms", goal, runs[0][2], f"{runs[0][1]:,}"))
    return rows


def main():
    flows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory(prefix="egret-ask.") as state:
        subprocess.run([BENCH, "write", os.path.join(state, "history"), str(flows), str(DAYS)], check=True,
                       stdout=subprocess.DEVNULL)
        rows = measure(state)
    text = (f"{flows:,} flows of {DAYS} days (bench/history_rows.h), each question to a process of its own, as egretd asks it; "
            f"median of {ROUNDS}, files in the page cache.\n\n" +
            results.table(("question", "measured", "goal", "answered from", "lines"), rows))
    results.write("ask", "History: whole answers", text, " ".join(["./dev bench ask", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
