#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""./dev bench fleet --ask URL [END]: questions of the page to a large cluster that is there, by egretd's own reader (END: Unix, now)."""
import json
import os
import subprocess
import sys
import time
import urllib.request

import results

EGRETD = os.path.join(results.BUILD, "src", "egretd")
DAY, RUNS = 86400, 3
HOST, NAME, DOMAIN = "web-00100", "cdn1.site2761.example", "site2761.example"     # of tools/fleet-sim
QUESTIONS = (
    ("top names", {"do": "usage", "by": "name"}),
    ("by host", {"do": "usage", "by": "host"}),
    ("by program", {"do": "usage", "by": "app"}),
    ("one host by program", {"do": "usage", "by": "app", "filter": f"host:{HOST}"}),
    ("one host by name", {"do": "usage", "by": "name", "filter": f"host:{HOST}"}),
    ("one name by host", {"do": "usage", "by": "host", "filter": f"name:{NAME}"}),
    ("some hosts by name", {"do": "usage", "by": "name", "filter": "host:web-*"}),
    ("a domain's names by host and name", {"do": "usage", "by": "host,name", "filter": f"domain:{DOMAIN}"}),
    ("by program and name", {"do": "usage", "by": "app,name"}),
    ("the same, 1,000 lines", {"do": "usage", "by": "app,name", "limit": 1000}),
    ("one program by name", {"do": "usage", "by": "name", "filter": "proc:program7"}),
    ("by segment and segment", {"do": "usage", "by": "from,to"}),
    ("by host and name", {"do": "usage", "by": "host,name"}),
    ("the same, 1,000 lines ", {"do": "usage", "by": "host,name", "limit": 1000}),
    ("by host and domain", {"do": "usage", "by": "host,domain"}),
    ("one name on some hosts over time", {"do": "timeline", "step": 3600, "filter": f"host:web-* name:{NAME}"}),
    ("one host over time, by name", {"do": "timeline", "step": 3600, "by": "name", "filter": f"host:{HOST}"}),
    ("one name over time", {"do": "timeline", "step": 3600, "filter": f"name:{NAME}"}),
    ("all over time, by name", {"do": "timeline", "by": "name", "limit": 5}),
    ("all over time, by program", {"do": "timeline", "step": 3600, "by": "app"}),
    ("the last 100 flows of one host", {"do": "flows", "limit": 100, "filter": f"host:{HOST}"}),
)


def clickhouse(url, sql):
    with urllib.request.urlopen(url, sql.encode(), timeout=120) as f:
        return f.read().decode().strip()


def ask(settings, end, seconds, question):
    """(milliseconds, lines); None: it has no answer in time"""
    began = time.monotonic()
    done = subprocess.run(["sh", "-c", 'exec "$0" --answer /nowhere me "" "" "$1" 3</dev/null 4</dev/null 5</dev/null', EGRETD, settings],
                          input=json.dumps({"from": end - seconds, "to": end, **question}), capture_output=True, text=True, timeout=300)
    lines = [json.loads(x) for x in done.stdout.splitlines()]
    if not lines or "error" in lines[-1]:
        return None, 0
    return 1000 * (time.monotonic() - began), len(lines) - 1


def main():
    url, end = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    settings = "\n".join([url, *[""] * 7, "egret", "default", *[""] * 4]) + "\n"
    pieces, hosts = clickhouse(url, "SELECT count(), uniq(host) FROM egret.flow").split("\t")
    rows = []
    for title, question in QUESTIONS:
        spans = []
        for days in (1, 7):
            got = [ask(settings, end, days * DAY, question) for _ in range(RUNS)]
            ms, lines = sorted(got, key=lambda x: x[0] or 1e9)[RUNS // 2]
            spans += [f"{ms:,.0f} ms" if ms else "no answer", f"{lines:,}"]
        rows.append([title, *spans])
        print(rows[-1], file=sys.stderr)
    hour, lines = sorted(ask(settings, end, 3600, {"do": "usage", "by": "app,name", "limit": 500}) for _ in range(RUNS))[RUNS // 2]
    sizes = clickhouse(url, "SELECT table, sum(rows), sum(bytes) FROM cluster(egret, system.parts) WHERE active AND database = 'egret' AND "
                            "(table LIKE 'flow_1%' OR table LIKE 'usage%') GROUP BY table ORDER BY table")
    tables = [[t.split("_1_local")[0], f"{int(n):,}", f"{int(b) / 1e6:,.0f} MB", f"{int(b) / int(n):.0f}"]
              for t, n, b in (x.split("\t") for x in sizes.splitlines())]
    text = f"""{int(pieces):,} pieces of flows of {hosts} hosts (`fleet-sim --fill`), two shards of two replicas on this machine; questions as the page asks them,
by `egretd --answer`, which starts anew for each: median of {RUNS}. What the page asks first, the last hour by program and name, took {hour:,.0f} ms, {lines} lines.

{results.table(("question", "24 h", "lines", "7 days", "lines"), rows)}

{results.table(("table, one replica of each shard", "rows", "on disk", "bytes a row"), tables)}"""
    results.write("fleet-ask", "Fleets: questions of the page", text + "\n\n" + results.versions("clickhouse-server"), "./dev bench fleet --ask URL")


main()
