#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Questions to the history, as a stranger asks them on the control socket of a real egretd, against sums over its eve.json to the byte.
Then what must not hurt: hostile questions, clients that do not read, many at once, damage. The commands are in usage.py."""
import decimal
import glob
import json
import os
import re
import socket
import sys
import time

import lab
from lab import C4, S4, ZONE

CASES = lab.golden.Cases()
WWW, DASH, EDGE = f"www.{ZONE}", f"-x.{ZONE}", f"edge.{ZONE}"
SUMS = ("flows", "up", "down", "packets_up", "packets_down", "refused")
CHILDREN = 4
MANY = 6000
ONE_OBJECT = ("who", "flow", "replay")


# --- asking -----------------------------------------------------------------------------------------------------------

class Answer:
    """rows, the end line; or error."""

    def __init__(self, rows, end):
        self.rows, self.end = rows, end
        self.error = end.get("error")

    def __repr__(self):
        return f"{self.end} after {len(self.rows)} rows {self.rows[:2]}"


def connect(d):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(40)
    lab.wait_for("a place at the socket", lambda: connects(s, os.path.join(d.run_dir, "egret.sock")), 5)
    return s


def connects(s, path):
    try:
        s.connect(path)
    except BlockingIOError:         # its queue of new connections is full
        return False
    return True


def send(d, do, **more):
    s = connect(d)
    s.sendall(json.dumps({"ask": "history", "do": do, **more}).encode() + b"\n")
    return s


def take(s, do):
    rows = []
    with s, s.makefile("rb") as lines:
        for line in lines:
            o = json.loads(line)
            if "error" in o or o.get("end") or do in ONE_OBJECT:
                return Answer(rows, o)
            rows.append(o)
    return Answer(rows, {"error": "the daemon hung up"})


def ask(d, do, **more):
    return take(send(d, do, **more), do)


# --- what eve.json says -----------------------------------------------------------------------------------------------

def other_side(r):
    return r["src_ip"] if r["egret"].get("direction") == "reply" else r["dest_ip"]


def segment(ip):
    return "lab" if ip == S4 else "private"


def facts(r):
    """The words a flow is summed under."""
    e, p = r["egret"], r.get("process", {})
    return {"app": p.get("executable") or p.get("name", ""), "user": r.get("user", {}).get("name", ""),
            "name": e.get("name") or other_side(r), "domain": ZONE if e.get("name", "").endswith(ZONE) else "",
            "protocol": r.get("app_proto", ""), "direction": e.get("direction", ""),
            "rule": e.get("rule", {}).get("text", ""), "verdict": e.get("verdict", ""),
            "segment": segment(other_side(r)), "from": segment(r["src_ip"]) if "src_ip" in r else "(this host)", "to": segment(r["dest_ip"]), "address": other_side(r),
            "port": str(r.get("dest_port", "")), "proto": r["proto"]}


def moved(records):
    """What each flow moved, and what was refused before it was one: facts and sums, and the record."""
    out = []
    for r in lab.last_flows(records):
        f = r["flow"]
        up, down = ("toclient", "toserver") if r["egret"].get("direction") == "reply" else ("toserver", "toclient")
        out.append({**facts(r), "record": r, "flows": 1, "up": f["bytes_" + up], "down": f["bytes_" + down],
                    "packets_up": f["pkts_" + up], "packets_down": f["pkts_" + down], "refused": 0})
    for r in records:
        if r["event_type"] == "drop":
            out.append({**facts(r), "record": r, "flows": 0, "up": 0, "down": 0, "packets_up": 0, "packets_down": 0,
                        "refused": r["drop"].get("calls", 0) + r["drop"].get("pkts", 0)})
    return out


def add(rows):
    return {k: sum(r[k] for r in rows) for k in SUMS}


def sums(row):
    return {k: row.get(k, 0) for k in SUMS}


def group(rows, by):
    out = {}
    for r in rows:
        key = tuple(r[b] for b in by)
        out[key] = add([out.get(key, dict.fromkeys(SUMS, 0)), r])
    return out


# --- traffic ----------------------------------------------------------------------------------------------------------

def policy_of(n):
    path = os.path.join(n.tmp, "policy.egret")
    with open(path, "w", encoding="ascii") as f:
        f.write(f"segment lab = {S4}/32\nprice lab = 0.09 USD/GB\ndeny to {S4} port 7009\n"
                f'allow to {S4} port http as "web"\ndefault allow\n')
    return path


def first_wave(n):
    curl = ["curl", "-s", "-4", "-o", "/dev/null"]
    n.run(*curl, f"http://{WWW}/", f"http://{EDGE}/big", "--local-port", "41100-41199")
    n.run(*curl, "-H", f"Host: {DASH}", f"http://{S4}/")
    n.run("setpriv", "--reuid=65534", "--clear-groups", *curl, f"http://{WWW}/")
    n.run(*curl, "-m", "2", f"http://{S4}:7009/", check=False)              # refused
    n.python(f"import socket\ns=socket.create_connection(('{S4}',7003)); s.sendall(b'x'*500000); s.shutdown(1)\n"
             "while s.recv(65536): pass")
    n.python(f"import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.connect(('{S4}',7003))\n"
             "for i in range(9): s.send(b'ping'); s.recv(99)")
    n.start("socat", "TCP4-LISTEN:7100,reuseaddr", "PIPE", ns=n.client, watched=True,
            ready=lambda _: n.listens("t", 7100, n.client))
    n.run("bash", "-c", f"exec 3<>/dev/tcp/{C4}/7100; echo hi >&3; read -r x <&3", ns=n.server, watched=False)


def second_wave(n):
    n.run("curl", "-s", "-4", "-o", "/dev/null", f"http://{WWW}/")


def settled(n, d, ports):
    """So many flows to these ports have ended, none lives."""
    def ended():
        flows = [r for r in lab.last_flows(d.records()) if "reason" in r["flow"]]
        return all(sum(r["dest_port"] == port for r in flows) >= count for port, count in ports.items())
    n.wait_quiet()
    lab.wait_for("flows to be in eve.json", ended)
    lab.wait_for("flows to end", lambda: not [r for r in map(json.loads, d.egret("flows", "--json").stdout.splitlines())
                                              if r.get("event_type") == "flow"])


def next_second():
    """The next whole second, once it is there: nothing lies on both sides of it."""
    t = int(time.time()) + 1
    time.sleep(max(0, t + 0.05 - time.time()))
    return t


# --- exactness --------------------------------------------------------------------------------------------------------

BY = ("app", "user", "name", "domain", "protocol", "direction", "rule", "verdict", "segment", "address", "app,name",
      "domain,protocol", "app,user,protocol,direction", "port,proto", "from,to", "to,app")


def usage(d, want, **span):
    for by in BY:
        a = ask(d, "usage", by=by, limit=1000, **span)
        keys = by.split(",")
        got = {tuple(str(r.get(k, "")) for k in keys): sums(r) for r in a.rows}
        CASES.equal(f"usage by {by}", got, group(want, keys))
        CASES.equal(f"usage by {by}: totals", sums(a.end.get("totals", {})), add(want))
    for by in ("unit", "container", "country", "asn", "host"):
        a = ask(d, "usage", by=by, **span)
        CASES.equal(f"usage by {by}: totals", sums(a.end.get("totals", {})), add(want))
    shown = d.egret("segments", "--last", "1h").stdout
    CASES.check("egret segments", re.search(r"^FROM . TO +.*lab", shown) and re.search(r"^private +.* in \d", shown, re.M) and
                "refused" in shown and "total: " in shown, shown)
    for sort in ("bytes", "up", "down", "flows", "last", "cost"):
        a = ask(d, "usage", by="app,name", sort=sort, limit=3, **span)
        size = [r["up"] + r["down"] if sort == "bytes" else r.get(sort, 0) for r in a.rows]
        if sort == "cost":
            size = [decimal.Decimal(str(r.get("cost", {}).get("amount", 0))) for r in a.rows]
        CASES.check(f"usage sorted by {sort}", size == sorted(size, reverse=True) and len(size) == 3 and
                    a.end.get("shown") == 3 and a.end.get("rows", 0) > 3, a)


FILTERS = (
    ("proc:curl", lambda r: r["app"] == "/usr/bin/curl"), ("-proc:curl", lambda r: r["app"] != "/usr/bin/curl"),
    ("user:nobody", lambda r: r["user"] == "nobody"), ("protocol:http", lambda r: r["protocol"] == "http"),
    ("app:dns", lambda r: r["protocol"] == "dns"), (f"name:{WWW}", lambda r: WWW in (r["name"], *names(r))),
    ("name:www.*", lambda r: any(x.startswith("www.") for x in (r["name"], *names(r)))),
    (f"domain:{ZONE}", lambda r: r["domain"] == ZONE), ("segment:lab", lambda r: r["segment"] == "lab"),
    (f"addr:{S4}", lambda r: r["address"] == S4), ("proc:CURL port:80", lambda r: r["app"] == "/usr/bin/curl" and r["port"] == "80"), ("dir:reply", lambda r: r["direction"] == "reply"),
    ("verdict:deny", lambda r: r["verdict"] == "deny"), ("port:7003", lambda r: r["port"] == "7003"),
    ("proc:curl or port:7003", lambda r: r["app"] == "/usr/bin/curl" or r["port"] == "7003"),
    ("proc:curl -user:root", lambda r: r["app"] == "/usr/bin/curl" and r["user"] != "root"),
    ("proto:udp", lambda r: r["proto"] == "UDP"), ("rule:web", lambda r: "web" in r["rule"]),
    ("name:nothing.example", lambda r: False),
)


def ids(records):
    """Refused before it became a flow: a record without an id."""
    return [r["flow_id"] for r in records if r.get("flow_id")]


def names(r):
    return r["record"]["egret"].get("names", [])


def filters(d, want, **span):
    for text, match in FILTERS:
        rows = [r for r in want if match(r)]
        a = ask(d, "usage", by="app", filter=text, **span)
        CASES.equal(f"usage, {text}", sums(a.end.get("totals", {})), add(rows))
        a = ask(d, "flows", filter=text, limit=10000, **span)
        CASES.same_set(f"flows, {text}", ids(a.rows), [r["record"]["flow_id"] for r in rows if r["flows"]])
        CASES.equal(f"flows, {text}: refusals", [r["dest_port"] for r in a.rows if not r.get("flow_id")],
                    [r["record"]["dest_port"] for r in rows if not r["flows"]])


def view(r):
    """What of a flow's record history must give back as eve.json has it."""
    f, p, e = r["flow"], r.get("process", {}), r["egret"]
    return {**{k: r.get(k) for k in ("src_ip", "src_port", "dest_ip", "dest_port", "proto", "app_proto", "community_id", "cgroup")},
            **{k: f.get(k) for k in ("pkts_toserver", "pkts_toclient", "bytes_toserver", "bytes_toclient", "start", "end",
                                     "state", "reason")},
            **{"process " + k: p.get(k) for k in ("pid", "executable", "name", "command_line", "start")},
            "parents": [x["pid"] for x in p.get("ancestors", [])][:3], "user": r.get("user", {}).get("name"),
            **{k: e.get(k) for k in ("direction", "name", "name_source", "registered_domain", "verdict", "rule",
                                     "payload_toserver", "payload_toclient")}}


def flows(d, want, **span):
    a = ask(d, "flows", limit=10000, **span)
    got = {r["flow_id"]: r for r in a.rows if r.get("flow_id")}
    CASES.check("flows: no id of zero", all(r.get("flow_id", 1) for r in a.rows), [r for r in a.rows if not r.get("flow_id", 1)])
    for w in want:
        r = w["record"]
        if w["flows"]:
            CASES.equal(f"flow {r['proto']} to port {r.get('dest_port')} as in eve.json",
                        view(got[r["flow_id"]]) if r["flow_id"] in got else None, view(r))
    ends = [r["flow"]["end"] for r in a.rows if r.get("event_type") == "flow"]
    CASES.check("flows: newest first", ends == sorted(ends, reverse=True) and len(ends) > 5, ends)
    lab.golden.check_schema(CASES, "flows from history", [json.dumps(r).encode() for r in a.rows])
    pages, after = [], {}
    while len(pages) < 100:
        a = ask(d, "flows", limit=3, **span, **after)
        pages += ids(a.rows)
        if "next" not in a.end:
            break
        after = {"after": a.end["next"]}
    CASES.check("flows by pages: each once", len(pages) == len(set(pages)) and set(pages) == set(got), pages, a)
    r = max(want, key=lambda w: w["up"])["record"]
    one = ask(d, "flow", id=r["flow_id"]).end
    pieces = one.get("pieces", [])
    CASES.check("one flow: its record and its pieces", one.get("flow_id") == r["flow_id"] and
                sum(p["up"] for p in pieces) == r["flow"]["bytes_toserver"] and
                sum(p["down"] for p in pieces) == r["flow"]["bytes_toclient"], one)
    CASES.check("one flow that is none: an error", ask(d, "flow", id=1).error)


def timeline(d, want, span):
    for step in (60, 3600):
        a = ask(d, "timeline", step=step, **span)
        row = a.rows[0] if a.rows else {}
        CASES.check(f"timeline by {step} s: its points add up", a.end.get("step") == step and
                    a.end.get("start", 1) % step == 0 and a.end["start"] <= span["from"] and
                    len(row["up"]) == len(row["down"]) == a.end["points"] and
                    [sum(row[k]) for k in ("flows", "up", "down")] == [add(want)[k] for k in ("flows", "up", "down")], a, add(want))
    a = ask(d, "timeline", by="app", **span)
    got = {r["key"].get("app", ""): sum(r["up"]) for r in a.rows if not r.get("others")}
    CASES.equal("timeline by app", got, {k[0]: v["up"] for k, v in group(want, ["app"]).items() if v["up"] or v["down"]})
    a = ask(d, "timeline", by="name,port", limit=2, **span)
    others = [r for r in a.rows if r.get("others")]
    CASES.check("timeline: two series and the others", len(a.rows) == 3 and len(others) == 1 and
                sum(sum(r["down"]) for r in a.rows) == add(want)["down"], a)
    a = ask(d, "timeline", last=365 * 86400)
    CASES.check("timeline of a year: at most 400 points", a.end.get("points", 999) <= 400, a)


def who(d, want, span):
    for what, rows in ((S4, [r for r in want if r["address"] == S4]), (WWW, [r for r in want if WWW in (r["name"], *names(r))])):
        o = ask(d, "who", what=what, **span).end
        CASES.equal(f"who {what}: sums", {k: o.get(k) for k in ("flows", "up", "down", "refused")},
                    {k: add(rows)[k] for k in ("flows", "up", "down", "refused")})
        CASES.check(f"who {what}: kind, programs", o.get("kind") == ("address" if what == S4 else "name") and
                    {a["app"] for a in o.get("apps", [])} == {r["app"] for r in rows}, o)
        CASES.equal(f"who {what}: flows of late", set(ids(o.get("flows_recent", []))),
                    {r["record"]["flow_id"] for r in rows if r["flows"]})
        CASES.equal(f"who {what}: ports", {(int(p["port"]), p["proto"]): p["up"] for p in o.get("ports", [])},
                    {(int(p), q): v["up"] for (p, q), v in group(rows, ["port", "proto"]).items()})
    o = ask(d, "who", what=S4, **span).end
    CASES.check("who: the names of an address", WWW in [x.get("name") for x in o.get("names", [])] and
                o.get("segment") == "lab", o)
    o = ask(d, "who", what=WWW, **span).end
    CASES.check("who: the addresses of a name", S4 in json.dumps(o.get("addresses")) and o.get("domain") == ZONE, o)
    o = ask(d, "who", what="nobody.example", **span).end
    CASES.check("who never seen: nothing, and no error", "error" not in o and not o.get("flows"), o)


def cost(d, want, span):
    """0.09 USD/GB of what left for the lab, in 10^-9 USD rounded down."""
    up = sum(r["up"] for r in want if r["segment"] == "lab")
    a = ask(d, "usage", by="app,name", **span)
    got = a.end.get("totals", {}).get("cost", {})
    amount = decimal.Decimal(str(got.get("amount", "-1")))
    CASES.check("cost of the month so far", got.get("currency") == "USD" and
                abs(amount * 10**9 - up * 9 // 100) <= 1, a.end, up * 9 // 100)
    parts = sum(decimal.Decimal(str(r["cost"]["amount"])) for r in a.rows if "cost" in r)
    CASES.check("cost: the rows add up to the total, roundings apart", 0 <= (amount - parts) * 10**9 <= len(a.rows), parts, amount)


# --- what must not hurt -----------------------------------------------------------------------------------------------

def alive(d):
    """The daemon answers at once."""
    begin = time.monotonic()
    return d.egret("status").returncode == 0 and time.monotonic() - begin < 2


def children(d):
    """{pid: state} of the answering children of the daemon."""
    out = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8", errors="replace") as f:
                state, parent = f.read().rsplit(")", 1)[1].split()[:2]
            with open(os.path.join(os.path.dirname(path), "cmdline"), "rb") as f:
                argv = f.read()
        except OSError:
            continue
        if int(parent) == d.child.pid and (b"--answer" in argv or state == "Z"):
            out[int(path.split("/")[2])] = state
    return out


HOSTILE = (
    {}, {"do": 5}, {"do": "nothing"}, {"do": "usage", "by": "app,,name"}, {"do": "usage", "by": "app", "colour": 1},
    {"do": "usage", "by": "app,app,app,app,app"}, {"do": "usage", "by": "weather"}, {"do": "usage", "by": ["app"]},
    {"do": "usage", "by": "app", "sort": "colour"}, {"do": "usage", "by": "app", "limit": -1},
    {"do": "usage", "by": "app", "limit": "many"}, {"do": "usage", "by": "app", "from": 10, "to": 5},
    {"do": "usage", "by": "app", "from": -1, "to": 5}, {"do": "usage", "by": "app", "from": 1e300, "to": 5},
    {"do": "usage", "by": "app", "last": 0}, {"do": "usage", "by": "app", "last": 1 << 62},
    {"do": "usage", "by": "app", "last": 60, "from": 5}, {"do": "usage", "by": "app", "period": "century"},
    {"do": "usage", "by": "app", "filter": "port:x"}, {"do": "usage", "by": "app", "filter": "(" * 4000},
    {"do": "flows", "limit": 10001}, {"do": "flows", "after": "nonsense"}, {"do": "flows", "after": 7},
    {"do": "timeline", "step": -60}, {"do": "timeline", "by": "app,name,user"}, {"do": "who"}, {"do": "who", "what": ""},
    {"do": "who", "what": "x" * 5000}, {"do": "flow"}, {"do": "flow", "id": "x"}, {"do": "flow", "id": -1}, {"do": "replay"},
)


def hostile(d):
    for q in HOSTILE:
        s = connect(d)
        s.sendall(json.dumps({"ask": "history", **q}).encode() + b"\n")
        CASES.check(f"hostile question {str(q)[:60]}: an error", take(s, q.get("do")).error)
    CASES.check("after hostile questions: answers", alive(d) and not ask(d, "usage", by="app").error)


def many_flows(n):
    n.python("import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
             f"for i in range({MANY}): s.sendto(b'x',('{S4}',10000+i))")


def slow_and_many(d):
    """Clients that ask for all and do not read; too many; gone in the middle."""
    slow = [send(d, "flows", limit=10000) for _ in range(6 * CHILDREN)]
    lab.wait_for("the children to wait for their clients", lambda: len(children(d)) == CHILDREN)
    CASES.check("clients that do not read: no more than four children, and the daemon lives",
                0 < len(children(d)) <= CHILDREN and alive(d), children(d))
    for s in slow:
        s.close()
    try:
        lab.wait_for("the children to go", lambda: not children(d), 5)
        CASES.check("clients that went: their children too, and no zombie", True)
    except TimeoutError as e:
        CASES.check("clients that went: their children too, and no zombie", False, e, children(d))
    a = ask(d, "flows", limit=10000)
    CASES.check("afterwards: all flows for who reads", a.end.get("shown", 0) > MANY and a.end["shown"] <= 10000, a.end)


def living(n, d, base):
    """A flow that lives is counted to the second, and once it ended, just as much."""
    held = n.start("/usr/bin/python3", "-uc",
                   f"import socket,sys\ns=socket.create_connection(('{S4}',7003)); s.sendall(b'x'*10000)\n"
                   "n=0\nwhile n<10000: n+=len(s.recv(65536))\nprint('open')\nsys.stdin.readline()\ns.close()",
                   ns=n.client, watched=True, stdin=True, ready=lambda c: "open" in open(c.log, encoding="ascii").read())

    def same():
        now = [json.loads(x) for x in d.egret("flows", "--json", "port:7003").stdout.splitlines()]
        now = [r["flow"] for r in now if r.get("event_type") == "flow"]
        a = ask(d, "usage", by="app", filter="port:7003 proto:tcp", last=3600)
        return now and now[0]["bytes_toserver"] > 10000 and (
            a.end["totals"]["up"] - base["up"], a.end["totals"]["down"] - base["down"]) == (
            now[0]["bytes_toserver"], now[0]["bytes_toclient"])
    try:
        lab.wait_for("the living flow in the sums", same, 5)
        CASES.check("a living flow is in the sums", True)
    except TimeoutError as e:
        CASES.check("a living flow is in the sums", False, e, d.egret("flows", "--json", "port:7003").stdout,
                    ask(d, "usage", by="app", filter="port:7003 proto:tcp", last=3600))
    n.say(held, "end")
    held.wait(10)


def history_files(d):
    return sorted(glob.glob(os.path.join(d.run_dir, "state", "history", "*.db")))


def damaged(n, d):
    """Bytes in the middle of each file are overwritten: no crash, and it is told."""
    for path in history_files(d):
        with open(path, "r+b") as f:
            f.seek(os.path.getsize(path) // 2)
            f.write(os.urandom(8192))
    d.start()
    a = ask(d, "usage", by="app", last=3600)
    CASES.check("damage, a daemon: answers", not a.error, a)
    second_wave(n)
    settled(n, d, {80: 6})
    try:
        lab.wait_for("what comes after", lambda: ask(d, "usage", by="app", last=3600).end.get("totals", {}).get("up", 0) > 0, 5)
        CASES.check("damage: what comes after is kept", True)
    except TimeoutError as e:
        CASES.check("damage: what comes after is kept", False, e, d.messages()[-1500:])
    CASES.equal("damage: the daemon ends well", d.stop(), 0)


def empty(d):
    for do, more in (("flows", {}), ("usage", {"by": "app"}), ("timeline", {}), ("who", {"what": S4})):
        a = ask(d, do, **more)
        CASES.check(f"nothing kept yet: {do} has an empty answer", not a.error and not a.rows, a)


def main():
    lab.need(CASES, "curl", "nginx", "dnsmasq", "socat", "setpriv")
    n = lab.Lab("ask")
    try:
        n.nginx()
        n.dnsmasq()
        n.echo(7003)
        n.echo(7003, udp=True)
        d = n.daemon(conf=f'policy "{policy_of(n)}" enforce\nstore sqlite\n')
        begin = int(time.time())
        empty(d)
        first_wave(n)
        settled(n, d, {80: 4, 7003: 2, 7100: 1, 53: 3})
        cut = next_second()
        first = moved(d.records())
        second_wave(n)
        settled(n, d, {80: 5, 53: 4})
        end = next_second()
        both = moved(d.records())
        second = [r for r in both if r not in first]
        span = {"from": begin, "to": end}
        usage(d, both, **span)
        for what, rows, part in (("before", first, {"from": begin, "to": cut}), ("after", second, {"from": cut, "to": end})):
            a = ask(d, "usage", by="app,port", **part)
            CASES.equal(f"a cut at a second, {what} it", sums(a.end.get("totals", {})), add(rows))
        filters(d, both, **span)
        flows(d, both, **span)
        timeline(d, both, span)
        who(d, both, span)
        cost(d, both, span)
        hostile(d)
        living(n, d, add([r for r in both if r["port"] == "7003" and r["proto"] == "TCP"]))
        many_flows(n)
        settled(n, d, {10000 + MANY - 1: 1})
        slow_and_many(d)
        nothing = n.daemon(conf="store off\n")
        CASES.check("a daemon that keeps nothing says so", ask(nothing, "usage", by="app").error)
        nothing.stop()
        CASES.equal("ends well", d.stop(), 0)
        damaged(n, d)
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
