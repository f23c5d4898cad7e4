#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Metrics: promtool finds nothing to say about them, a real Prometheus scrapes them from the page's port, no counter ever falls,
the bytes are those of the records, and each panel of the Grafana dashboard shows something that is there. And the health facts of
`egret status`."""
import glob
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

import lab
from lab import S4

CASES = lab.golden.Cases()
DASHBOARD = os.path.join(lab.SOURCE, "packaging", "grafana", "egret.json")
PYTHON = os.path.basename(os.path.realpath("/usr/bin/python3"))
PROGRAMS = 40
POLICY = """{more}segment office = 10.77.0.0/24
list bad = file "bad.txt"
list gone = file "gone.txt" optional
deny to list bad
deny port 7009
allow to office port 7001 limit 10gbit
allow to 192.0.2.9 quota 1gb/month
price any = 1 USD/GB
budget all = 5 USD/month
default allow
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def samples(text):
    """{(name, labels): value} of the text format, labels as a sorted tuple."""
    got = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        m = re.fullmatch(r"(\w+)(?:\{(.*)\})? ([0-9.e+]+)", line)
        if not m:
            raise ValueError(line)
        labels = tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', m.group(2) or "")))
        if (m.group(1), labels) in got:
            raise ValueError("twice: " + line)
        got[(m.group(1), labels)] = float(m.group(3))
    return got


def counters(text):
    return set(re.findall(r"^# TYPE (\w+) counter$", text, re.M))


class Watch:
    """Metrics, looked at again and again: no counter falls."""

    def __init__(self, d):
        self.d, self.last, self.fell, self.looks = d, {}, [], 0

    def look(self):
        text = self.d.egret("status", "--metrics").stdout
        now = samples(text)
        for key, value in now.items():
            if key[0] in counters(text) and value < self.last.get(key, 0):
                self.fell.append((key, self.last[key], value))
            self.last[key] = value
        self.looks += 1
        return now

    def value(self, name, **labels):
        return self.look().get((name, tuple(sorted(labels.items()))))


def traffic(n, d, watch):
    """Programs of 40 names, each with a flow, a few that are refused, looked at in between; the policy is loaded anew."""
    for i in range(PROGRAMS):
        name = os.path.join(n.tmp, f"prog{i:02d}")
        shutil.copy("/bin/bash", name)
        n.run(name, "-c", f"exec 3<>/dev/tcp/{S4}/7001; printf '%{1000 * (i % 7 + 1) + 100 * i}d' 1 >&3; exec 3>&-")
        if i % 5 == 0:
            n.run(name, "-c", f"exec 3<>/dev/tcp/{S4}/7009", check=False)
            watch.look()
        if i in (13, 26):
            with open(n.policy, "w", encoding="ascii") as f:        # every rule on another line
                f.write(POLICY.format(more="\n" * i))
            CASES.equal(f"load {i}", d.egret("policy", "load", n.policy, "--enforce").returncode, 0)
    # a flow that lives while it is looked at
    held = n.start("/usr/bin/python3", "-uc",
                   f"import socket,sys\ns=socket.create_connection(('{S4}',7003))\n"
                   "for i in range(20):\n s.send(b'x'*30000)\n while i and len(s.recv(65536)) < 1: pass\n"
                   "print('sent')\nsys.stdin.readline()", ns=n.client, watched=True, stdin=True,
                   ready=lambda c: "sent" in open(c.log).read())
    before = lab.wait_for("the living flow to count",
                          lambda: watch.value("egret_bytes_total", app=PYTHON, direction="up"))
    CASES.check("a living flow counts", before >= 600000 - 30000, before)
    n.say(held, "end")
    held.wait(10)
    lab.wait_for("all flows to end", lambda: watch.value("egret_active_flows") == 0, 90)


def bytes_of_records(d, watch):
    """What the metrics say of a program is what its records say."""
    want = {}
    for r in lab.last_flows(d.records()):
        app = r.get("process", {}).get("name", "(unknown)")
        up, down = want.get(app, (0, 0))
        want[app] = (up + r["flow"]["bytes_toserver"], down + r["flow"]["bytes_toclient"])
    got = watch.look()
    for side, direction in enumerate(("up", "down")):
        mine = {dict(k[1])["app"]: v for k, v in got.items() if k[0] == "egret_bytes_total" and
                ("direction", direction) in k[1]}
        CASES.check(f"{direction}: at most 100 programs and the others", len(mine) <= 101 and "other" in mine, sorted(mine))
        CASES.equal(f"{direction}: bytes of all programs", sum(mine.values()), sum(w[side] for w in want.values()))
        CASES.equal(f"{direction}: bytes of {PYTHON}", mine.get(PYTHON), want.get(PYTHON, (0, 0))[side])


def labels_are_those_of_the_table(watch):
    with open(os.path.join(lab.SOURCE, "docs", "metrics.md"), encoding="utf-8") as f:
        table = {m[0]: sorted(re.findall(r"`(\w+)`", m[1])) for m in
                 re.findall(r"^\| `(\w+)` \| \w+ \| ([^|]*) \|", f.read(), re.M)}
    part = re.compile(r"_(bucket|sum|count)$")      # of the histogram
    wrong = [k for k in watch.last if table.get(part.sub("", k[0])) != [name for name, _ in k[1] if name != "le"]]
    CASES.equal("labels are those of docs/metrics.md", wrong, [])
    others = {k for k in table if k.startswith(("egret_console_", "egret_collector_"))}    # of egretd in other roles
    CASES.equal("metrics of the table that never came", sorted(set(table) - others - {part.sub("", k[0]) for k in watch.last}),
                ["egret_findings_total"])


def labels_are_harmless(watch):
    text = str([k for k in watch.last])
    CASES.check("no label has an address, a host or a pid", not re.search(r"\d+\.\d+\.\d+\.\d+|lab\.example|'pid'", text))


def rules(watch):
    got = watch.look()
    denied = {dict(k[1])["rule"]: v for k, v in got.items() if k[0] == "egret_verdicts_total" and
              ("verdict", "deny") in k[1]}
    CASES.check("refusals by rule and line, over three loads", len(denied) == 3 and
                all(re.search(r"policy\.egret:\d+$", rule) for rule in denied), denied)
    CASES.equal("refused calls", got.get(("egret_refused_total", (("what", "calls"),))), sum(denied.values()))
    CASES.equal("the mode", got.get(("egret_policy_mode", (("mode", "enforce"),))), 1)


def history(watch):
    """Times of batches add up as a histogram's do."""
    got = lab.wait_for("history to be written", lambda: (lambda g: g if g.get(("egret_store_rows_total", ())) else None)(
        watch.look()))
    steps = [v for k, v in got.items() if k[0] == "egret_store_batch_seconds_bucket"]
    CASES.check("buckets rise to the count", steps == sorted(steps) and len(steps) == 7 and
                steps[-1] == got[("egret_store_batch_seconds_count", ())] > 0, steps)
    CASES.check("history has a size", got[("egret_store_disk_bytes", ())] > 0 and
                not got[("egret_store_failing", ())], got[("egret_store_disk_bytes", ())])


def history_knows_segments(d):
    kept = b"".join(open(path, "rb").read() for path in glob.glob(os.path.join(d.run_dir, "state", "history", "*.db")))
    CASES.check("history has the segments of the policy", b"office" in kept.replace(b"to office", b""), len(kept))


def promtool(d):
    text = d.egret("status", "--metrics").stdout
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    CASES.check("promtool check metrics", done.returncode == 0 and not done.stdout and not done.stderr, done)


def query(port, expr):
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expr})
    try:
        with urllib.request.urlopen(url, timeout=10) as r:
            return json.load(r)
    except urllib.error.HTTPError as e:
        body = e.read()
        return json.loads(body) if body.startswith(b"{") else {}       # "Service Unavailable" while it starts
    except OSError:
        return {}


def result(port, expr):
    return query(port, expr).get("data", {}).get("result", [])


def expressions():
    """(panel, expression) of the dashboard, its variables filled in."""
    with open(DASHBOARD, encoding="utf-8") as f:
        board = json.load(f)
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield panel["title"], (target["expr"].replace("$__rate_interval", "30s").replace("$job", "egret")
                                   .replace("$instance", ".*"))


def prometheus(n, d, page_port, watch):
    port = free_port()
    conf = os.path.join(n.tmp, "prometheus.yml")
    with open(conf, "w", encoding="ascii") as f:
        f.write("global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n- job_name: egret\n"
                f"  static_configs: [{{targets: ['127.0.0.1:{page_port}']}}]\n")
    child = subprocess.Popen(["prometheus", "--config.file", conf, "--storage.tsdb.path", os.path.join(n.tmp, "tsdb"),
                              "--web.listen-address", f"127.0.0.1:{port}", "--log.level", "warn"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    n.children.append(child)
    lab.wait_for("prometheus to scrape", lambda: result(port, 'up{job="egret"} == 1'), 40)
    n.run("bash", "-c", f"exec 3<>/dev/tcp/{S4}/7001; printf '%9999d' 1 >&3")
    n.run("bash", "-c", f"exec 3<>/dev/tcp/{S4}/7009", check=False)
    lab.wait_for("four scrapes", lambda: result(port, "count_over_time(egret_flows_total[30s]) >= 4"))
    there = {k[0] for k in watch.look()}
    got = result(port, "egret_bytes_total")
    CASES.check("what was scraped is what was said", len(got) == len([k for k in watch.last if k[0] == "egret_bytes_total"]),
                got)
    full, unknown = 0, []
    for title, expr in expressions():
        answer = query(port, expr)
        CASES.check(f"panel '{title}': {expr}", answer.get("status") == "success", answer)
        full += bool(answer.get("data", {}).get("result"))
        unknown += [m for m in re.findall(r"\b(?:egret|process)_\w+", expr) if m not in there]
    # What has never happened has no sample: findings.
    CASES.equal("metrics of the dashboard that are not there", sorted(set(unknown) - {"egret_findings_total"}), [])
    CASES.check("most panels show something", full >= 20, full)
    n.stop(child)


def health(d):
    """`egret status`: what a person and the page see of maps, features, lists."""
    done = d.egret("status", "--json")
    if not CASES.check("egret status --json", done.stdout.startswith("{"), done):
        return
    j = json.loads(done.stdout)
    maps = j["maps"]
    CASES.check("maps: fill and capacity", {"sockets", "peers", "processes", "paths", "handshakes"} <= set(maps) and all(
        0 <= m["entries"] <= m["max"] for m in maps.values()), maps)
    CASES.check("maps: processes are counted", maps.get("processes", {}).get("entries", 0) > 3, maps)
    doctor = subprocess.run([lab.EGRET, "doctor"], capture_output=True, text=True).stdout
    CASES.check("features: those of doctor", len(j["features"]) > 10 and all(
        f["text"] and re.search(rf"^{re.escape(f['name'])} +{'yes' if f['there'] else 'NO'}\b", doctor, re.M)
        for f in j["features"]), j["features"], doctor)
    feeds = {f["name"]: f for f in j["feeds"]}
    CASES.check("lists: entries and age", feeds.get("bad", {}).get("entries") == 2 and
                0 <= feeds["bad"].get("age_s", -1) < 3600 and "age_s" not in feeds.get("gone", {"age_s": 0}), feeds)
    text = d.egret("status").stdout
    CASES.check("status for people", all(re.search(rf"^{word}\b", text, re.M) for word in
                                         ("lost", "maps", "list", "flows")), text)


def segments(d):
    flows = [r for r in lab.last_flows(d.records()) if r.get("dest_port") == 7001]
    CASES.check("records name the segments of the policy", flows and all(
        r["egret"].get("segment") == {"from": "office", "to": "office"} for r in flows), flows[:1])
    lab.golden.check_schema(CASES, "metrics", d.lines())


def main():
    lab.need(CASES, "promtool", "prometheus")
    n = lab.Lab("met")
    try:
        n.sink(7001)
        n.echo(7003)
        n.sink(7009)
        n.policy = os.path.join(n.tmp, "policy.egret")
        with open(n.policy, "w", encoding="ascii") as f:
            f.write(POLICY.format(more=""))
        with open(os.path.join(n.tmp, "bad.txt"), "w", encoding="ascii") as f:
            f.write("192.0.2.66\n192.0.2.67\n")
        port = free_port()
        d = n.daemon(conf=f'policy "{n.policy}" enforce\npage 127.0.0.1:{port}\nstore sqlite\n')
        watch = Watch(d)
        promtool(d)
        traffic(n, d, watch)
        bytes_of_records(d, watch)
        rules(watch)
        history(watch)
        health(d)
        segments(d)
        prometheus(n, d, port, watch)
        promtool(d)
        labels_are_harmless(watch)
        labels_are_those_of_the_table(watch)
        CASES.check(f"no counter fell in {watch.looks} looks", not watch.fell, watch.fell[:5])
        CASES.equal("ends well", d.stop(), 0)
        history_knows_segments(d)
    except (RuntimeError, TimeoutError, ValueError, subprocess.SubprocessError, OSError) as e:
        CASES.check("metrics", False, repr(e))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
