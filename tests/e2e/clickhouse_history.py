#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a fleet's ClickHouse answers is what the machine's own history answers: the same flows in both, the same questions to both."""
import json
import os
import shutil
import socket
import subprocess
import time

import clickhouse_rig
import lab
from clickhouse_rig import PORT
from guarded import Guarded
from lab import S4, S6

CASES = lab.golden.Cases()
REFUSED = 7009
POLICY = f"reject to {S4} port {REFUSED} as \"not this one\"\nallow to *.{lab.ZONE}\ndefault allow\n"
DIMS = ("app", "user", "unit", "container", "segment", "name", "domain", "country", "asn", "protocol", "direction", "rule", "verdict",
        "address", "port", "proto", "app,name", "name,port,proto", "rule,verdict", "from,to")
FILTERS = (
    "proc:python3", "proc:py*", "proc:*/python3*", "proc:pyth?n3*", "-proc:python3", f"name:www.{lab.ZONE}", f"name:*.{lab.ZONE.upper()}",
    f"domain:{lab.ZONE}", f"addr:{S4}", f"addr:{S4}/24", f"addr:{S6}", "addr:fd00::/8", f"src:{S4}", "port:7003", "port:7000-7005", "port:>7003",
    "port:<=7003", "proto:tcp", "proto:u*", "not proto:udp,icmp", "dir:egress", "verdict:allow", "verdict:reject", "rule:*not*", "rule:1",
    "rule:\"not this one\"", "source:dns", "source:none", "user:root", "user:0", "pid:>1", "segment:private", "segment:internet",
    "parent:*", "args:*socket*", "args:'%'", "cgroup:*", "unit:*", "container:*", "ja4:*", "country:*", "asn:>0", "protocol:*", "app:unknown",
    "python3", "WWW", "w?w.*", S4, "up:>10kb", "down:<1kb", "bytes:>100000", "packets:>20", "age:<1h", "state:closed", "refused:>0",
    "proto:tcp or port:53", "(proc:python3 port:7003) or -name:*", "not (proto:tcp up:>1kb)", "name:'%'", "name:a_b", "proc:x\\y",
    "machine:*", "nat:10.0.0.0/8", "host:no-such-machine")
UNTOLD = "what was refused is not in it"
COUNTS = ("flows", "up", "down", "packets_up", "packets_down", "refused")


class Both:
    def __init__(self, d, ns, user, password):
        self.d, self.ns = d, ns
        self.settings = "\n".join([f"http://127.0.0.1:{PORT}", *[""] * 7, "egret", user, password, *[""] * 3]) + "\n"

    def fleet(self, **question):
        done = subprocess.run(["nsenter", f"--net=/run/netns/{self.ns}", "sh", "-c", 'exec "$0" --answer /nowhere me "" "" "$1" 3</dev/null '
                               '4</dev/null 5</dev/null', os.path.join(lab.BUILD, "src", "egretd"), self.settings],
                              input=json.dumps(question), capture_output=True, text=True, timeout=60)
        return [json.loads(x) for x in done.stdout.splitlines()] or [{"error": done.stderr or done.returncode}]

    def local(self, **question):
        lines = []
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(os.path.join(self.d.run_dir, "egret.sock"))
            s.sendall(json.dumps({"ask": "history", **question}).encode() + b"\n")
            for line in s.makefile(encoding="utf-8"):
                lines.append(json.loads(line))
                if {"end", "error", "what", "pieces"} & lines[-1].keys():
                    return lines
        return lines


def by_key(lines, by):
    """Sums by what they are of; times are rounded differently."""
    if "error" in lines[-1]:
        return lines[-1]
    return {tuple(r.get(k, "") for k in by.split(",")): tuple(r[c] for c in COUNTS) for r in lines[:-1]}


def same(name, b, by, **question):
    CASES.equal(name, by_key(b.fleet(do="usage", by=by, **question), by), by_key(b.local(do="usage", by=by, **question), by))


def usage(b, last):
    for by in DIMS:
        same(f"usage by {by}", b, by, last=last, limit=1000)


def filters(b):
    """Each means the same in SQL as in C; a quarter of them must let something through."""
    full = 0
    for f in FILTERS:
        f = f.replace("'", "")
        fleet = b.fleet(do="usage", by="name,port,app", last=7200, limit=1000, filter=f)
        full += len(fleet) > 1
        want = by_key(b.local(do="usage", by="name,port,app", last=7200, limit=1000, filter=f), "name,port,app")
        if any(UNTOLD in x for x in fleet[-1].get("notes", [])):    # and says so
            want = {k: (*v[:-1], 0) for k, v in want.items() if any(v[:-1])}
        CASES.equal(f"filter {f}", by_key(fleet, "name,port,app"), want)
    CASES.check("many of the filters let something through", full > len(FILTERS) / 4, full)
    host = lab.must("hostname").strip()
    CASES.equal("filter host: this one", by_key(b.fleet(do="usage", by="app", last=7200, filter=f"host:{host}"), "app"),
                by_key(b.local(do="usage", by="app", last=7200), "app"))


def records(lines):
    """Flows and refusals as records, without what only one of the two knows."""
    ret = []
    for r in lines:
        if "event_type" in r:
            e = dict(r, egret=dict(r.get("egret", {})))
            e.pop("host", None)
            ret.append(json.dumps(e, sort_keys=True))
    return ret


def flows(b):
    local, fleet = b.local(do="flows", last=7200, limit=1000), b.fleet(do="flows", last=7200, limit=1000)
    CASES.equal("as many flows and refusals", len(records(fleet)), len(records(local)))
    one, other = ({(r.get("flow_id"), r["event_type"]): r for r in x if r.get("event_type") == "flow"} for x in (fleet, local))
    CASES.equal("the same flows", sorted(one), sorted(other))
    CASES.equal("with the same counts", {k: v["flow"] for k, v in one.items()}, {k: v["flow"] for k, v in other.items()})
    for r in (*one.values(), *other.values()):      # of an ancestor either its path or what it is called is sent
        r.get("process", {}).pop("ancestors", None)
    for part in ("process", "egret", "container", "user", "cgroup", "app_proto"):
        CASES.equal(f"and the same {part}", [(k, v.get(part)) for k, v in one.items() if v.get(part) != other.get(k, {}).get(part)][:1],
                    [(k, other.get(k, {}).get(part)) for k, v in one.items() if v.get(part) != other.get(k, {}).get(part)][:1])
    for f in ("proc:python3", "up:>10kb", f"name:www.{lab.ZONE}", "verdict:reject"):
        ids = [sorted(str(r.get("flow_id")) for r in x if "event_type" in r) for x in
               (b.fleet(do="flows", last=7200, limit=1000, filter=f), b.local(do="flows", last=7200, limit=1000, filter=f))]
        CASES.equal(f"flows {f}", ids[0], ids[1])
    paged, after = [], {}
    while True:
        page = b.fleet(do="flows", last=7200, limit=7, **after)
        paged += [r.get("flow_id") for r in page[:-1]]
        if not page[-1].get("next"):
            break
        after = {"after": page[-1]["next"]}
    CASES.equal("page by page, none twice and none left out", paged, [r.get("flow_id") for r in fleet[:-1]])
    one = next(r["flow_id"] for r in fleet if r.get("event_type") == "flow")
    CASES.equal("one flow", b.fleet(do="flow", id=one)[0]["flow"], b.local(do="flow", id=one)[0]["flow"])


def who(b):
    for what in (f"www.{lab.ZONE}", lab.ZONE, S4):
        f, o = b.fleet(do="who", what=what, last=7200)[0], b.local(do="who", what=what, last=7200)[0]
        CASES.equal(f"who {what}: sums", {c: f.get(c) for c in COUNTS}, {c: o.get(c) for c in COUNTS})
        for part, key in (("names", "name"), ("addresses", "address"), ("apps", "app"), ("rules", "rule")):
            CASES.equal(f"who {what}: {part}", sorted((x[key], x["up"], x["flows"]) for x in f[part]),
                        sorted((x[key], x["up"], x["flows"]) for x in o[part]))


def timelines(b):
    for question in ({}, {"by": "app"}, {"by": "name", "filter": "proto:tcp"}):
        f, o = b.fleet(do="timeline", last=3600, step=60, **question), b.local(do="timeline", last=3600, step=60, **question)
        CASES.equal(f"timeline {question}", {c: f[-1]["totals"][c] for c in COUNTS}, {c: o[-1]["totals"][c] for c in COUNTS})
        CASES.equal(f"timeline {question}: its lines", sorted((json.dumps(x["key"]), sum(x["up"])) for x in f[:-1]),
                    sorted((json.dumps(x["key"]), sum(x["up"])) for x in o[:-1]))


def late_names(c, b):
    """A flow whose name only its last piece knows is asked for as a whole: all that it moved counts. A finding is told of whom it is about."""
    now = int(time.time())
    for seq, name, up in ((0, "", 900_000), (1, "late.example.net", 200_000)):
        said = c.ask("INSERT INTO egret.flow_1 (ts, host, boot, flow_id, seq, ends, start_us, from_us, to_us, proto, our_ip, peer_ip, peer_port, up_bytes, "
                     f"state, direction, name, exe, pid) SELECT toDateTime({now - 60 + seq}), 'late-1', 5, 77, {seq}, {seq}, {now - 90}000000, {now - 80 + seq}000000, "
                     f"{now - 60 + seq}000000, 6, toFixedString(unhex('00000000000000000000FFFF0A000001'), 16), "
                     f"toFixedString(unhex('00000000000000000000FFFFCB007109'), 16), 443, {up}, {2 * seq}, 1, '{name}', '/usr/bin/late', 9")
        CASES.equal("a piece is taken", said, "")
    for f in ("name:late.example.net up:>1mb", "host:late-1 up:>1mb", "proc:late bytes:>1mb age:>10s"):
        rows = b.fleet(do="flows", last=600, filter=f)
        CASES.equal(f"flows {f}", [r["flow"]["bytes_toserver"] for r in rows if r.get("event_type") == "flow"], [1_100_000])
        CASES.equal(f"usage {f}", [r["up"] for r in b.fleet(do="usage", by="host", last=600, filter=f)[:-1]], [1_100_000])
    CASES.equal("no flow that is smaller", b.fleet(do="flows", last=600, filter="host:late-1 up:>2mb")[-1]["shown"], 0)
    record = json.dumps({"event_type": "alert", "egret": {"finding": {"id": "x1", "peer": "late.example.net"}}}).replace('"', '\\"')
    c.ask("INSERT INTO egret.finding_1 (ts, host, boot, time_us, id, state, level, class, detector, score_db, peer, name, record) SELECT "
          f"toDateTime({now}), 'late-1', 5, {now}000000, 'x1', 'new', 'high', 'c2', 'beacon', 40, 'late.example.net', 'late.example.net', '{record}'")
    CASES.equal("who tells of its finding", [x["egret"]["finding"]["id"] for x in b.fleet(do="who", what="late.example.net", last=600)[0]["findings"]], ["x1"])


def further_names(c, b):
    """Sums do not know a further name. A step that they are too long for is of pieces, also where it is asked who is largest."""
    now = int(time.time()) - 60
    said = c.ask("INSERT INTO egret.flow_1 (ts, host, boot, flow_id, ends, from_us, to_us, up_bytes, name, names) SELECT "
                 f"toDateTime({now}), 'late-2', 5, 78, 1, {now}000000, {now}000000, 5000, 'best.example', "
                 "['best.example', 'alias.example']")
    CASES.equal("a piece with two names is taken", said, "")
    lines = b.fleet(do="timeline", by="name", last=12 * HOUR, step=900, filter="name:alias.example")
    CASES.equal("chart by a further name", [(x["key"], sum(x["up"])) for x in lines[:-1]], [({"name": "best.example"}, 5000)])
    CASES.equal("chart by a further name: from", lines[-1]["source"], "flows")


DAY, HOUR = 86400, 3600
ROLLUP = ("rollup", "--days", "6", "--closed-after", "-3600")       # with the hour that is not over
PEER = "replaceRegexpOne(IPv6NumToString(if(name = '', peer_ip, toFixedString('', 16))), '^::(ffff:|$)', '')"
SQL_OF = {"host": "host", "name": f"if(name = '', {PEER}, name)", "domain": "domain", "segment": "segment", "country": "country",
          "app": "exe"}


def fill_days(c, first, until):
    """Pieces and refusals of three machines, one every ten minutes and odd seconds, names and none, up to now."""
    n = (until - first) // 607
    peer = "toFixedString(unhex(concat('00000000000000000000FFFFCB0071', hex(toUInt8(number % 5)))), 16)"
    same_of = ("concat('day-', toString(number % 3)) AS host, if(number % 4 = 0, '', concat('n', toString(number % 7), '.example')) AS name, "
               f"{peer} AS peer_ip, if(number % 4 = 0, '', 'example') AS domain, if(number % 2 = 0, 'lan', 'internet') AS segment, 'DE' AS country, "
               "intDiv(number, 9) % 3 AS asn, concat('/bin/', toString(number % 2)) AS exe, toDateTime({at}) AS ts, toUInt64(toUInt32(ts)) * 1000000 AS from_us, "
               "from_us AS to_us, 3 AS boot, number + 1 AS flow_id")
    names = "host, name, peer_ip, domain, segment, country, asn, exe, ts, from_us, to_us, boot, flow_id"
    for sql in (f"INSERT INTO egret.flow_1 ({names}, seq, up_bytes, down_bytes, up_packets, down_packets) SELECT "
                + same_of.format(at=f"{first} + number * 607") + f", number % 2, 1000 + number, 7 * number, 1 + number % 3, 2 FROM system.numbers LIMIT {n}",
                f"INSERT INTO egret.verdict_1 ({names}, action, calls, packets) SELECT "
                + same_of.format(at=f"{first} + number * 2311") + f", 'reject', 1, number % 2 FROM system.numbers LIMIT {n // 4}"):
        CASES.equal("rows of days are taken", c.ask(sql), "")


def of_pieces(c, by, where, since, until, host="host LIKE 'day-%'"):
    """What the pieces and refusals say."""
    keys = ", ".join(SQL_OF[k] for k in by.split(","))
    span = f"ts >= toDateTime({since}) AND ts < toDateTime({until}) AND {host} AND {where} GROUP BY {keys}"
    ret = {}
    for table, counts in (("flow", "countIf(seq = 0), sum(up_bytes), sum(down_bytes), sum(up_packets), sum(down_packets), 0"),
                          ("verdict", "0, 0, 0, 0, 0, sum(calls + packets)")):
        for line in c.ask(f"SELECT {keys}, {counts} FROM egret.{table} WHERE {span}").splitlines():
            *key, flows, up, down, pup, pdown, refused = line.split("\t")
            was = ret.get(tuple(key), (0,) * 6)
            ret[tuple(key)] = tuple(a + int(x) for a, x in zip(was, (flows, up, down, pup, pdown, refused)))
    return ret


PAIRS = (("name", "host:day-1", "host = 'day-1'"), ("host", "name:n3.example", "name = 'n3.example'"), ("host,name", "host:day-*", "1"),
         ("host,domain,segment", "host:day-* -name:n1*", "name NOT LIKE 'n1%'"), ("name,country", "host:day-2 asn:1", "host = 'day-2' AND asn = 1"),
         ("app,name", "country:DE -name:n1*", "name NOT LIKE 'n1%'"), ("domain", "country:DE proc:1 segment:lan", "exe = '/bin/1' AND segment = 'lan'"))


def pairs(c, b, name, since, until, source):
    """Sums are of whole hours: so the span is, where they are."""
    for by, f, where in PAIRS:
        lines = b.fleet(**{"do": "usage", "by": by, "from": since, "to": until, "limit": 1000, "filter": f})
        ends = (since - since % HOUR, until + -until % HOUR) if source != "flows" else (since, until)
        CASES.equal(f"host and name, {name}: {by} of {f}", by_key(lines, by), of_pieces(c, by, where, *ends))
        one_host = "host:" in f and "host:day-*" not in f
        CASES.equal(f"host and name, {name}: {by} of {f}: from", lines[-1].get("source"), "hours" if source == "days" and one_host else source)


def charts(c, b, first, today):
    """The largest are told apart, by name or by address where there is none; all others are one line, and nothing is missing."""
    said = c.ask("INSERT INTO egret.flow_1 (ts, host, boot, flow_id, peer_ip, up_bytes) SELECT "
                 f"toDateTime({first} + 3600), 'day-1', 4, number, toFixedString(unhex(if(number = 1, '00000000000000000000FFFF0A000009', "
                 "'00000000000000000000000000000000')), 16), 900000 + number FROM system.numbers LIMIT 2")
    CASES.equal("a peer without an address is taken", said, "")
    c.tool(*ROLLUP)
    for by, f, where in (("name", "host:day-*", "1"), ("name", "host:day-1", "host = 'day-1'"), ("host", "name:n3.example", "name = 'n3.example'"),
                         ("domain", "host:day-*", "1"), ("host,name", "host:day-*", "1")):
        for limit in (1, 2):
            lines = b.fleet(**{"do": "timeline", "by": by, "from": first, "to": today, "step": HOUR, "limit": limit, "filter": f})
            want = sorted(((x[1] + x[2], key) for key, x in of_pieces(c, by, where, first, today).items()), reverse=True)
            got = [(sum(x["up"]) + sum(x["down"]), tuple(x["key"][k] for k in by.split(",")) if x["key"] else "others") for x in lines[:-1]]
            rest = [(sum(n for n, _ in want[limit:]), "others")] if want[limit:] else []
            CASES.equal(f"chart by {by} of {f}, {limit} told apart", got, want[:limit] + rest)
        at = c.ask(f"SELECT intDiv(toUInt32(ts) - {first}, {HOUR}) AS h, sum(up_bytes) FROM egret.flow WHERE ts >= toDateTime({first}) AND "
                   f"ts < toDateTime({today}) AND host LIKE 'day-%' AND {where} GROUP BY h ORDER BY h")
        points = {int(h): int(n) for h, n in (x.split("\t") for x in at.splitlines())}
        CASES.equal(f"chart by {by} of {f}: hour by hour", {i: n for i in range(lines[-1]["points"]) if (n := sum(x["up"][i] for x in lines[:-1]))}, points)


def largest(c, b, first, today):
    """Of pairs with a name the largest, though not all are read: 400 names of falling size, some without a name; and 400 of one size."""
    address = "toFixedString(unhex(concat('00000000000000000000FFFF0A0000', hex(toUInt8(number % 400 % 200)))), 16)"
    for country, size in (("XX", "intDiv(1000000, number % 400 + 1) * (1 + intDiv(number, 400) % 3) + number"), ("YY", "1000 + number % 1200")):
        CASES.equal("rows of many names are taken", c.ask(
            "INSERT INTO egret.flow_1 (ts, host, boot, flow_id, name, domain, country, exe, peer_ip, up_bytes, down_bytes) SELECT "
            f"toDateTime({first} + number * 71), concat('wide-', toString(intDiv(number, 400) % 3)), 5, number, "
            "if(number % 5 = 0, '', concat('w', toString(number % 400), '.example')) AS n, if(n = '', '', concat('d', toString(number % 90))), "
            f"'{country}', concat('/bin/', toString(number % 2)), {address}, {size}, number % 9 FROM system.numbers LIMIT 3600"), "")
    c.tool(*ROLLUP)
    for by, f, limit, sort in (("host,name", "country:XX", 1, "bytes"), ("host,name", "country:XX", 100, "up"), ("host,domain", "country:XX", 7, "bytes"),
                               ("name,app", "country:XX", 100, "bytes"), ("app,name,host", "country:XX", 30, "down"), ("host,name", "country:XX", 900, "up"),
                               ("host,name", "country:XX", 5000, "up"), ("host,name", "country:YY", 10, "bytes"), ("name,host", "country:XX", 20, "flows"),
                               ("host,name", "-country:XX -country:YY", 5, "bytes"), ("host,name", "country:XX app:nothing", 5, "bytes")):
        keys, where = by.split(","), "country = 'XX'" if f == "country:XX" else "country = 'YY'" if "YY" in f and f[0] != "-" else \
            "country NOT IN ('XX', 'YY')" if f[0] == "-" else "0"
        size = {"bytes": lambda x: x[1] + x[2], "up": lambda x: x[1], "down": lambda x: x[2], "flows": lambda x: x[0]}[sort]
        lines = b.fleet(**{"do": "usage", "by": by, "from": first + 9 * HOUR, "to": today - 5, "limit": limit, "sort": sort, "filter": f})
        want = of_pieces(c, by, where, first + 9 * HOUR, today, host="1")
        got, end, title = by_key(lines, by), lines[-1], f"the {limit} largest by {by} of {f} by {sort}"
        CASES.equal(f"{title}: sizes", [size(got[tuple(x[k] for k in keys)]) for x in lines[:-1]],
                    sorted((size(x) for x in want.values()), reverse=True)[:limit])
        CASES.equal(f"{title}: each is right", {k: x for k, x in got.items() if want.get(k) != x}, {})
        CASES.equal(f"{title}: in all", tuple(end["totals"][x] for x in COUNTS), tuple(map(sum, zip(*want.values()))) or (0,) * 6)
        CASES.equal(f"{title}: how many there are", end["rows"] == len(want) or (limit < end["rows"] < len(want) and end.get("rows_at_least")), True)
        if (limit, sort) == (1, "bytes"):
            CASES.equal(f"{title}: not all are read", end.get("rows_at_least"), True)


def poisoned(c, b, table, begin, since, until, f):
    """Bytes that only this sum has are in the answer: so it is read."""
    which = ("exe", "app") if "program" in table else ("host", "host")
    c.ask(f"INSERT INTO egret.{table}_1 ({'day' if table.endswith('day') else 'hour'}, {which[0]}, name, up_bytes) VALUES "
          f"({begin}, 'day-1', '{table}.example', 77)")
    rows = b.fleet(**{"do": "usage", "by": f"{which[1]},name", "from": since, "to": until, "limit": 1000, "filter": f})
    return sorted(r["name"] for r in rows[:-1] if r["name"].startswith("usage_") and r["up"] == 77)


def days(c, b):
    """Questions that need host and name: of a machine from usage_peer, of others whole days from usage_day, what is not summed from pieces."""
    now = int(time.time())
    today = now - now % DAY
    first = today - 4 * DAY
    fill_days(c, first, now - 60)
    spans = (("whole days", first, today), ("begun and ended within days", first + 5 * HOUR + 1234, today - DAY + 7 * HOUR + 77),
             ("of a day not whole", first + HOUR + 1, first + 23 * HOUR), ("from midnight on", today - 2 * DAY, today - DAY + 9 * HOUR),
             ("up to midnight", today - 2 * DAY - 9 * HOUR, today), ("24 hours", today - DAY - 3 * HOUR - 5, today - 3 * HOUR - 5))
    for name, since, until in spans[:2]:
        pairs(c, b, f"before rollup, {name}", since, until, "flows")
    c.tool(*ROLLUP)
    for name, since, until in spans:
        pairs(c, b, name, since, until, "days" if name == "whole days" else "hours")
    pairs(c, b, "a day alone", today - DAY, today, "days")
    lines = b.fleet(do="timeline", step=DAY, filter="host:day-* name:n3.example", **{"from": first, "to": today})
    CASES.equal("host and name, day by day", sum(x["up"][i] for x in lines[:-1] for i in range(4)),
                sum(x[1] for x in of_pieces(c, "host", "name = 'n3.example'", first, today).values()))
    CASES.equal("from days", lines[-1].get("source"), "days")
    for by, f, where in PAIRS:
        lines = b.fleet(do="usage", by=by, last=30 * HOUR, limit=1000, filter=f)
        CASES.equal(f"host and name, up to now: {by} of {f}", by_key(lines, by), of_pieces(c, by, where, (now - 30 * HOUR) // HOUR * HOUR, now + 60))
    charts(c, b, first, today)
    largest(c, b, first, today)
    late(c, b, first)
    hour, anyone = first + DAY + 3 * HOUR, "host:*ay-1"
    CASES.equal("a whole day is read from usage_day", poisoned(c, b, "usage_day", first + DAY, first, today, anyone), ["usage_day.example"])
    CASES.equal("where the span cuts it, its hours from usage_peer", poisoned(c, b, "usage_peer", hour, first + DAY + 1, today, anyone),
                ["usage_peer.example"])
    CASES.equal("and those of a whole day where a machine is named", poisoned(c, b, "usage_hour", hour, first, today, "host:day-1"),
                ["usage_peer.example"])
    CASES.equal("of a name hours are read from usage_hour", poisoned(c, b, "usage_day", first, first + DAY + 1, today, "name:usage_hour.example"),
                ["usage_hour.example"])
    CASES.equal("of programs a whole day is read from usage_program_day", poisoned(c, b, "usage_program_day", first + DAY, first, today, "proc:day-1"),
                ["usage_program_day.example"])
    CASES.equal("and where the span cuts it, its hours from usage_program", poisoned(c, b, "usage_program", hour, first + DAY + 1, today, "proc:day-1"),
                ["usage_program.example"])
    half_summed(c, b, first)
    version_2(c, b, first, today)


def late(c, b, first):
    """A piece that comes late is in the sums of its hour and its day after the next rollup."""
    c.ask("INSERT INTO egret.flow_1 (ts, host, boot, flow_id, name, domain, segment, country, up_bytes) VALUES "
          f"({first + 30 * HOUR}, 'day-1', 9, 9, 'n3.example', 'example', 'lan', 'DE', 5000000)")
    c.tool(*ROLLUP)
    pairs(c, b, "with what came late, a whole day", first + DAY, first + 2 * DAY, "days")
    pairs(c, b, "with what came late, its hours", first + DAY + 1, first + 2 * DAY - 1, "hours")


def half_summed(c, b, first):
    """An hour that rollup is at has some of its sums, and no mark: pieces are read, and all of them."""
    hour = first - 2 * HOUR
    c.ask(f"INSERT INTO egret.flow_1 (ts, host, name, up_bytes) SELECT toDateTime({hour} + number), 'half-1', concat('h', toString(number % 9)), 10 "
          "FROM system.numbers LIMIT 90")
    for sql in (f"usage_name_1 (hour, name, pieces, up_bytes) VALUES ({hour}, 'h1', 10, 100)",
                f"usage_host_1 (hour, host, pieces, up_bytes) VALUES ({hour}, 'half-1', 10, 100)",
                f"usage_hour_1 (hour, host, name, pieces, up_bytes) VALUES ({hour}, 'half-1', 'h1', 10, 100)",
                f"usage_peer_1 (hour, host, name, pieces, up_bytes) VALUES ({hour}, 'half-1', 'h1', 10, 100)",
                f"usage_day_1 (day, host, name, pieces, up_bytes) VALUES ({first - DAY}, 'half-1', 'h1', 10, 100)"):
        CASES.equal("some sums of an hour", c.ask("INSERT INTO egret." + sql), "")
    for by, f, want in (("name", "name:h*", 9), ("host", "host:half-1", 1), ("name", "host:half-1", 9)):
        lines = b.fleet(**{"do": "usage", "by": by, "from": first - DAY, "to": first, "filter": f})
        CASES.equal(f"an hour that is being summed: by {by}, {f}", (len(lines) - 1, sum(x["up"] for x in lines[:-1]), lines[-1]["source"]), (want, 900, "flows"))


def version_2(c, b, first, today):
    """Of a cluster that was not migrated: from sums by hour, and said."""
    for table in ("summed", "usage_program", "usage_program_day", "usage_day", "usage_peer"):
        for name in (table, table + "_1", table + "_1_local"):
            c.ask(f"DROP TABLE egret.{name} ON CLUSTER egret")
    CASES.check("rollup says what is to be done", "egret-clickhouse migrate" in c.tool("rollup", check=False))
    lines = b.fleet(**{"do": "usage", "by": "host", "from": first, "to": today, "filter": "name:n3.example"})
    CASES.equal("without version 3: the same", by_key(lines, "host"), of_pieces(c, "host", "name = 'n3.example'", first, today))
    CASES.check("from hours, and it says what is missing", lines[-1]["source"] == "hours" and "migrate" in str(lines[-1]["notes"]), lines[-1])


def traffic(n):
    n.python("import socket\n"
             f"for i, host in enumerate(('www.{lab.ZONE}', '{S4}', '{S6}') * 3):\n"
             " s=socket.create_connection((host,7003)); s.send(b'x'*(5000*(i+1))); s.shutdown(1)\n"
             " while s.recv(65536): pass\n"
             " s.close()\n"
             f"u=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); u.connect(('{S4}',7003)); u.send(b'y'*500); u.recv(999); u.close()\n"
             f"for i in range(3):\n r=socket.socket(); print(r.connect_ex(('{S4}',{REFUSED}))); r.close()\n")
    n.run("curl", "-s", "-o", "/dev/null", "--max-time", "5", f"http://www.{lab.ZONE}:7003/", check=False)     # an echo is no answer
    n.run("ping", "-c", "2", "-i", "0.2", S4)


def is_there(b):
    """All that the machine has kept has arrived, too."""
    s = json.loads(b.d.egret("status", "--json").stdout)["clickhouse"]
    return s["waiting"] == 0 and s["queued_bytes"] == 0 and s["rows"] > 0


def main():
    clickhouse_rig.need(CASES)
    n = lab.Lab("chh")
    try:
        n.dnsmasq()
        for port in (7003, REFUSED):
            n.echo(port)
        n.echo(7003, udp=True)
        c = clickhouse_rig.Cluster(2, 1)
        c.tool("migrate")
        password = os.path.join(n.tmp, "password")
        shutil.copy(os.path.join(c.dir, "password"), password)
        d = Guarded(n, "policy \"FILE\" enforce", f'learn 0s\nstore clickhouse {{ url "http://127.0.0.1:{PORT}" database egret user egret '
                    f'password-file "{password}" }}\n', ns=c.ns)
        d.write(POLICY)
        d.start()
        traffic(n)
        n.wait_quiet()
        b = Both(d, c.ns, "egret", password)
        lab.wait_for("the spool to be empty", lambda: is_there(b), 60)
        usage(b, 7200)
        filters(b)
        flows(b)
        who(b)
        timelines(b)
        c.tool(*ROLLUP)
        usage(b, 86400)
        for f in ("proc:python3", f"domain:{lab.ZONE}", "verdict:reject or proto:udp", "dir:egress -app:dns"):
            same(f"from sums by hour: {f}", b, "app,user", last=86400, filter=f)
        CASES.equal("they are from sums", b.fleet(do="usage", by="name", last=86400)[-1]["source"], "hours")
        host = lab.must("hostname").strip()
        for by in ("name", "domain", "name,segment"):
            CASES.equal(f"from sums of host and name: {by}", by_key(b.fleet(do="usage", by=by, last=86400, filter=f"host:{host}"), by),
                        by_key(b.local(do="usage", by=by, last=86400), by))
        rows = b.fleet(do="hosts", last=3600)
        CASES.equal("hosts", [(x["host"], x["policy_mode"]) for x in rows[:-1]], [(host, "enforce")])
        late_names(c, b)
        further_names(c, b)
        days(c, b)
        c.kill("s1r1")
        CASES.check("nobody answers: said in words", "127.0.0.1" in b.fleet(do="usage", last=60)[-1].get("error", ""))
        d.stop()
        c.close()
    finally:
        n.close()
    return CASES.end()


if __name__ == "__main__":
    raise SystemExit(main())
