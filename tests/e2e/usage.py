#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The commands that ask the history, in each of their forms: usage, timeline, who, flows with a time and page by page, a policy tried on
what is kept. What they say is what eve.json says, to the byte, after the daemon was started anew."""
import csv
import io
import json
import os
import sys
import time

import lab
from lab import C4, C6, S4, S6, ZONE

CASES = lab.golden.Cases()
OTHER_OPENED = ("reply", "ingress")


def up_down(r):
    """What left our side, and what came in, of a flow record."""
    sides = r["flow"]["bytes_toserver"], r["flow"]["bytes_toclient"]
    return sides[::-1] if r["egret"].get("direction") in OTHER_OPENED else sides


def sums(records, key):
    """{key: [flows, up, down]}"""
    found = {}
    for r in records:
        row = found.setdefault(key(r), [0, 0, 0])
        up, down = up_down(r)
        row[:] = row[0] + 1, row[1] + up, row[2] + down
    return found


def total(records):
    return sums(records, lambda r: "all").get("all", [0, 0, 0])


def program(r):
    return r.get("process", {}).get("executable", "")


def lines(done):
    return [json.loads(x) for x in done.stdout.splitlines()]


def answer(d, *argv):
    """(rows, last line) of a command with --json."""
    done = d.egret(*argv, "--json")
    if not CASES.check(f"egret {' '.join(argv)} --json", done.returncode == 0 and done.stdout, done):
        return [], {}
    rows = lines(done)
    return rows[:-1], rows[-1]


def rows_of_csv(d, *argv):
    done = d.egret(*argv, "--csv")
    CASES.equal(f"egret {' '.join(argv)} --csv", done.returncode, 0)
    return list(csv.DictReader(io.StringIO(done.stdout)))


def numbers(row):
    return [int(row[k]) for k in ("flows", "up", "down")]


def by_key(rows, *keys):
    return {tuple(r.get(k, "") for k in keys): numbers(r) for r in rows}


def usage(d, records, when):
    """By program, by name, by port: from sums and from single flows."""
    name = f"usage, {when}"
    rows, end = answer(d, "usage", "--by", "app", "--last", "1h")
    want = {(k,): v for k, v in sums(records, program).items()}
    CASES.equal(f"{name}: by app, as eve.json", by_key(rows, "app"), want)
    CASES.equal(f"{name}: totals", numbers(end.get("totals", {"flows": 0, "up": 0, "down": 0})), total(records))
    rows, _ = answer(d, "usage", "--by", "app,port", "--last", "1h")
    want = sums(records, lambda r: (program(r), str(r.get("dest_port", ""))))
    CASES.equal(f"{name}: by app and port, as eve.json", by_key(rows, "app", "port"), want)
    rows, end = answer(d, "usage", "--by", "name", "--last", "1h", "proc:curl")
    want = {(k,): v for k, v in sums([r for r in records if r.get("process", {}).get("name") == "curl"],
                                     lambda r: r["egret"].get("name") or r["dest_ip"]).items()}
    CASES.equal(f"{name}: curl by name, as eve.json", by_key(rows, "name"), want)
    table = d.egret("usage", "--last", "1h")
    CASES.check(f"{name}: table", table.returncode == 0 and "/usr/bin/curl" in table.stdout and
                f"total: {len(records)} flows, " in table.stdout and ", from " in table.stdout, table)
    CASES.equal(f"{name}: CSV", by_key(rows_of_csv(d, "usage", "--by", "program", "--last", "1h"), "app"),
                {(k,): v for k, v in sums(records, program).items()})


def forecast(d):
    """A calendar month that has not ended says what it comes to."""
    rows, end = answer(d, "usage", "--period", "month")
    CASES.check("usage --period month: ends with the month, has a forecast", rows and end.get("to", 0) > time.time() and
                end.get("forecast", {}).get("up", 0) >= end["totals"]["up"], end)
    CASES.check("usage --period month: in words", "if it goes on like this" in d.egret("usage", "--period", "month").stdout)


def timeline(d, records):
    rows, end = answer(d, "timeline", "--step", "1m", "--last", "1h")
    CASES.equal("timeline: one series, as eve.json", [len(rows), *(sum(map(sum, [r[k] for r in rows])) for k in ("flows", "up", "down"))],
                [1, *total(records)])
    CASES.check("timeline: as many points as it says", rows and all(len(rows[0][k]) == end["points"] for k in ("up", "down", "flows")) and
                end["step"] == 60, end)
    rows, _ = answer(d, "timeline", "--by", "app", "--last", "1h")
    CASES.equal("timeline --by app: as eve.json", {r["key"]["app"]: [sum(r[k]) for k in ("flows", "up", "down")] for r in rows},
                sums(records, program))
    curls = [r for r in records if r.get("process", {}).get("name") == "curl"]
    rows, _ = answer(d, "timeline", "--app", "curl", "--last", "1h")
    CASES.equal("timeline --app curl: as eve.json", [sum(map(sum, [r[k] for r in rows])) for k in ("flows", "up", "down")], total(curls))
    chart = d.egret("timeline", "--app", "curl", "--last", "1h")
    CASES.check("timeline: chart", chart.returncode == 0 and all(x in chart.stdout for x in ("HIGHEST", "\nup ", "\ndown ", "one column is",
                                                                                          "|", f"total: {len(curls)} flows")), chart)
    rows = rows_of_csv(d, "timeline", "--by", "program", "--step", "1m", "--last", "1h")
    found = {}
    for r in rows:
        found.setdefault(r["app"], []).append(numbers(r))
    CASES.equal("timeline --csv: as eve.json", {k: [sum(x) for x in zip(*v)] for k, v in found.items()}, sums(records, program))


def who(d, records):
    to = [r for r in records if r["dest_ip"] == S4]
    done = d.egret("who", "--json", S4)
    CASES.equal("who ADDRESS --json", done.returncode, 0)
    j = json.loads(done.stdout)
    CASES.equal("who ADDRESS: sums, as eve.json", numbers(j), total(to))
    CASES.equal("who ADDRESS: programs", {k for k, _ in by_key(j["apps"], "app", "user")}, {program(r) for r in to})
    CASES.equal("who ADDRESS: ports", by_key(j["ports"], "port"),
                {(k,): v for k, v in sums(to, lambda r: str(r.get("dest_port", ""))).items()})
    CASES.check("who ADDRESS: names", f"www.{ZONE}" in [x["name"] for x in j["names"]], j["names"])
    CASES.equal("who ADDRESS: last flows", {r["flow_id"] for r in j["flows_recent"]} <= {r["flow_id"] for r in to}, True)
    text = d.egret("who", S4)
    CASES.check("who ADDRESS: sections", text.returncode == 0 and all(
        f"\n{x}\n" in text.stdout for x in ("Names", "Addresses", "Programs", "Ports", "When", "Last flows")), text)
    j = json.loads(d.egret("who", "--json", ZONE).stdout)
    below = [r for r in records if (r["egret"].get("name") or "").endswith(ZONE)]
    CASES.equal("who NAME: sums of all below it", numbers(j), total(below))
    CASES.equal("who: nobody knows it", numbers(json.loads(d.egret("who", "--json", "203.0.113.77").stdout)), [0, 0, 0])


def flows(d, records):
    done = d.egret("flows", "--last", "1h", "--json", "--limit", "10000")
    got = [r for r in lines(done) if r.get("event_type") == "flow"]
    CASES.equal("flows --last: each flow once, as in eve.json", {r["flow_id"]: up_down(r) for r in got},
                {r["flow_id"]: up_down(r) for r in records})
    CASES.equal("flows --last: no flow twice", len(got), len({r["flow_id"] for r in got}))
    lab.golden.check_schema(CASES, "flows --last", done.stdout.encode().splitlines())
    CASES.equal("flows --last --csv: as many", len(rows_of_csv(d, "flows", "--last", "1h")), len(records))
    table = d.egret("flows", "--from", "-1h", "proc:curl")
    CASES.check("flows --from -1h: table", table.returncode == 0 and "curl" in table.stdout and "dig" not in table.stdout, table)
    CASES.check("flows --last 30d: with the date", "DATE" in d.egret("flows", "--last", "30d").stdout.split("\n")[0])
    pages, after = [], []
    while len(pages) < 50:
        done = d.egret("flows", "--last", "1h", "--json", "--limit", "2", *after)
        pages.append([r["flow_id"] for r in lines(done)])
        if "--after " not in done.stderr:
            break
        after = ["--after", done.stderr.split("--after ")[1].split(")")[0]]
    CASES.equal("flows --limit 2 --after: all pages together", sorted(sum(pages, [])), sorted(r["flow_id"] for r in records))


def wrong_calls(d, n):
    for argv in (("usage", "--last", "7"), ("usage", "--last", "7d", "--from", "monday"), ("timeline", "--step", "90s"),
                 ("who",), ("who", "a", "b"), ("flows", "--last", "1h", "--follow"), ("flows", "--from", "2026-02-30"),
                 ("usage", "port:xyz"), ("usage", "--nothing")):
        done = d.egret(*argv)
        CASES.check(f"egret {' '.join(argv)}: wrong call", done.returncode == 2 and done.stderr and not (done.stdout and argv != ("who",)),
                    done)
    done = d.egret("usage", "--by", "nothing")
    CASES.check("usage --by nothing: said", done.returncode == 1 and "nothing" in done.stderr, done)
    d.run_dir, real = n.tmp, d.run_dir
    for argv in (("usage",), ("timeline",), ("who", S4), ("flows", "--last", "1h")):
        done = d.egret(*argv)
        CASES.check(f"egret {argv[0]}, no daemon: said", done.returncode == 1 and "no egretd is running" in done.stderr, done)
    d.run_dir = real


def replay(n, d, records):
    """A policy tried on what is kept and on eve.json: the same flows, the same refusals."""
    policy = os.path.join(n.tmp, "try.egret")
    with open(policy, "w", encoding="ascii") as f:
        f.write("deny app \"/usr/bin/curl\" to any\ndefault allow\n")
    kept = d.egret("policy", "replay", "-c", d.conf, policy)
    CASES.check("policy replay: of what is kept, said", kept.returncode == 3 and "as egretd has kept it" in kept.stdout, kept)
    kept, eve = (json.loads(d.egret("policy", "replay", "--json", "-c", d.conf, policy, *files).stdout) for files in ([], [d.eve]))
    CASES.equal("policy replay: as of eve.json", {k: v for k, v in kept.items() if k not in ("first", "last", "inputs")},
                {k: v for k, v in eve.items() if k not in ("first", "last", "inputs")})
    learnt = d.egret("policy", "learn", "-c", d.conf, "--last", "1d")
    CASES.check("policy learn: of what is kept, said", learnt.returncode == 0 and "as egretd has kept it" in learnt.stdout and
                "/usr/bin/curl" in learnt.stdout, learnt)


def segments(n):
    """The matrix of the policy in force from what is kept: it lets pass what was, and loads."""
    d = n.daemon(conf=f'policy "{n.tmp}/segments.egret" watch\nstore sqlite\n', start=False)
    with open(os.path.join(n.tmp, "segments.egret"), "w", encoding="ascii") as f:
        f.write(f"segment us = {C4}, {C6}\nsegment them = {S4}, {S6}\nsegment nobody = 192.168.99.0/24\ndefault allow\n")
    d.start()
    n.run("curl", "-sk", "-o", "/dev/null", "-4", f"http://{S4}/")
    n.run("dig", "+short", f"@{S4}", f"www.{ZONE}")
    n.wait_quiet()
    lab.wait_for("the flow to be kept", lambda: answer(d, "usage", "--last", "1h", "port:80")[1].get("totals", {}).get("flows"))
    path = os.path.join(n.tmp, "matrix.egret")
    done = d.egret("policy", "learn", "-c", d.conf, "--segments", "--last", "1h", "-o", path)
    if not CASES.check("learn --segments: written", done.returncode == 0 and os.path.exists(path), done):
        return
    with open(path, encoding="ascii") as f:
        text = f.read()
    CASES.check("learn --segments: of the policy in force", done.returncode == 0 and "\nallow from us to them port 53/udp, 80/tcp" in text and
                "\nreject from nobody to us, them, nobody\n" in text, done, text)
    replay = d.egret("policy", "replay", "-c", d.conf, "--last", "1h", path)
    CASES.check("learn --segments: refuses nothing of what is kept", ", 0 would be refused" in replay.stdout, replay)
    CASES.equal("learn --segments: it loads", d.egret("policy", "load", "--watch", path).returncode, 0)
    d.stop()


def questions(n):
    n.nginx()
    n.dnsmasq()
    d = n.daemon(conf="store sqlite\n")
    curl = ["curl", "-sk", "-o", "/dev/null"]
    for url in (f"http://{S4}/", f"https://www.{ZONE}/", f"http://alias2.{ZONE}/"):
        n.run(*curl, "-4", url)
    n.run("dig", "+short", f"@{S4}", f"www.{ZONE}")
    n.run("ping", "-c", "2", "-i", "0.05", S4)
    n.wait_quiet()
    d.stop()
    records = lab.last_flows(d.records())
    CASES.check("there is something to ask for", len(records) >= 5, records)
    d.start()
    usage(d, records, "started anew")
    forecast(d)
    timeline(d, records)
    who(d, records)
    flows(d, records)
    replay(n, d, records)
    wrong_calls(d, n)
    d.stop()


def main():
    lab.need(CASES, "curl", "nginx", "dnsmasq", "dig", "ping")
    os.environ["LC_ALL"] = "C.UTF-8"
    n = lab.Lab("usa")
    try:
        questions(n)
        segments(n)
    except (RuntimeError, TimeoutError, ValueError, KeyError) as e:
        CASES.check("questions", False, repr(e))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
