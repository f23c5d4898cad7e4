#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""./dev bench history [FLOWS]: how fast history is written and asked, beside nfdump and JSON with jq on the same flows."""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import results

BENCH = os.path.join(results.BUILD, "bench", "bench-history")
DAYS, MONTH = 10, 30
QUESTIONS = (
    ("top-24h", "top talkers of 24 h", "100 ms"),
    ("by-app-and-name", "all days by app and name", "200 ms"),
    ("peer", "one peer's history, every piece", "50 ms"),
    ("busy-peer-100", "the busiest peer, last 100", ""),
    ("name", "one name's history, every piece", ""),
    ("domain", "a domain's history, every piece", ""),
    ("flow", "one flow by its id", ""),
    ("program-24h", "one program's pieces of 24 h", ""),
    ("all-24h", "every piece of 24 h", ""),
)


def run(*argv, **kw):
    return subprocess.run(list(map(str, argv)), check=True, capture_output=True, text=True, **kw).stdout


def size(folder):
    return sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder) if not f.endswith(("-wal", "-shm")))


def write(folder, flows, days):
    """(flows a second, bytes a flow, of these sums, CPU seconds, slowest transaction in ms)"""
    before = os.times()
    seconds, rows, lost, slowest = run(BENCH, "write", folder, flows, days).split()[:4]
    cpu = os.times().children_user + os.times().children_system - before.children_user - before.children_system
    sums = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder) if f.startswith("sums-") and f.endswith(".db"))
    assert lost == "0" and int(rows) > flows
    return flows / float(seconds), size(folder) / flows, sums / flows, cpu, float(slowest)


def ask(folder, flows, days):
    out = run(BENCH, "ask", folder, flows, days)
    return {name: (float(ms), int(rows)) for name, ms, rows in (line.split() for line in out.splitlines())}


def milliseconds(*argv, **kw):
    best = None
    for _ in range(3):
        begin = time.monotonic()
        subprocess.run(list(map(str, argv)), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **kw)
        best = min(best or 1e9, 1000 * (time.monotonic() - begin))
    return best


def netflow(folder, flows):
    """Two records a flow at a real collector, a folder a day: (bytes a flow, part of the records that came)."""
    came = sent = 0
    for day in range(DAYS):
        path = os.path.join(folder, f"day{day}")
        os.mkdir(path)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        collector = subprocess.Popen(["nfcapd", "-w", path, "-p", str(port), "-b", "127.0.0.1", "-t", "3600", "-B", "8000000", "-z"],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)
        sent += int(run(BENCH, "netflow", port, flows, DAYS, day))
        time.sleep(2)
        collector.terminate()
        collector.wait(30)
        info = run("nfdump", "-R", path, "-I")
        came += int(re.search(r"^Flows: (\d+)", info, re.M).group(1))
    return sum(size(os.path.join(folder, f"day{d}")) for d in range(DAYS)) / flows, came / sent


def beside(folder, flows, answers):
    """The same questions to nfdump and to jq, as far as they can be asked there."""
    peer = "5.44.185.56"  # name 3000 of history_rows.h
    last = os.path.join(folder, f"day{DAYS - 1}")
    lines = os.path.join(folder, "last-day.json")
    with open(lines, "wb") as f:
        subprocess.run([BENCH, "json", str(flows), str(DAYS)], check=True, stdout=f)
    top = milliseconds("nfdump", "-R", last, "-s", "ip/bytes", "-n", 20)
    history = milliseconds("nfdump", "-R", folder, "-o", "csv", f"ip {peer}")
    jq_top = milliseconds("jq", "-rn", 'reduce (inputs | [.egret.name, .flow.bytes_toserver + .flow.bytes_toclient]) as $x ({}; '
                          '.[$x[0]] += $x[1]) | to_entries | sort_by(-.value) | .[:20]', lines)
    jq_peer = milliseconds("jq", "-c", f'select(.dest_ip == "{peer}")', lines)
    return [["top talkers of 24 h", f"{answers['top-24h'][0]:.0f} ms", f"{top:.0f} ms", f"{jq_top:.0f} ms"],
            ["one peer's history, 10 days", f"{answers['peer'][0]:.0f} ms", f"{history:.0f} ms", f"{jq_peer:.0f} ms (1 day)"],
            ["by program and name", f"{answers['by-app-and-name'][0]:.0f} ms", "not in the records", "as top talkers, × days"]], \
        os.path.getsize(lines) / (flows / DAYS)


def main():
    flows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory(prefix="egret-history.") as folder:
        ours, month, theirs = (os.path.join(folder, name) for name in ("ten", "month", "netflow"))
        rate, each, sums, cpu, slowest = write(ours, flows, DAYS)
        answers = ask(ours, flows, DAYS)
        shutil.rmtree(ours)
        write(month, flows, MONTH)
        monthly = ask(month, flows, MONTH)
        shutil.rmtree(month)
        os.mkdir(theirs)
        nf_bytes, came = netflow(theirs, flows)
        rows, line = beside(theirs, flows, answers)
    text = f"""{flows:,} flows of bench/history_rows.h (60 programs, 8,000 names by Zipf, one flow in 25 in four pieces, every piece a row).

{results.table(("", "measured", "goal"), [
    ["written, with sums", f"{rate:,.0f} flows/s ({cpu / flows * 1e6:.1f} µs of CPU a flow, the generator's included)", "60,000"],
    ["slowest transaction", f"{slowest:.0f} ms", ""],
    ["on disk", f"{each:.0f} bytes a flow, {sums:.0f} of them sums", "120"]])}

{results.table(("question", f"{DAYS} days", f"{MONTH} days", "rows or groups", "goal"), [
    [title, f"{answers[name][0]:.1f} ms", f"{monthly[name][0]:.1f} ms", f"{answers[name][1]:,} / {monthly[name][1]:,}", goal]
    for name, title, goal in QUESTIONS])}

{results.table(("beside", "egret", "nfdump", "JSON lines and jq"), rows + [
    ["on disk, bytes a flow", f"{each:.0f}", f"{nf_bytes:.0f} (two records a flow, -z)", f"{line:.0f}"]])}

nfcapd took in {100 * came:.1f} % of the NetFlow 5 records, which have no name, program or user. Median of 3 runs each (nfdump and jq: best of
3), files in the page cache."""
    results.write("history", "History: writing and asking", text + "\n\n" + results.versions("nfdump", "jq", "libsqlite3-0"),
                  "./dev bench history" + "".join(" " + a for a in sys.argv[1:]))


main()
