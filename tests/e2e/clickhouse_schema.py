#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The schema and tools of packaging/clickhouse on Debian's ClickHouse, 2 shards × 2 replicas, and on today's by chdb.

chdb is npm's (0.5 GB), so it is not installed by ./dev: `npm install --prefix DIR chdb@3.4.0`, then EGRET_CHDB=DIR.
"""
import http.server
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

import clickhouse_rig
import lab

CASES = lab.golden.Cases()
TABLES = ["finding", "flow", "flow_hour", "host", "name", "policy", "prevalence", "summed", "usage_day", "usage_host", "usage_hour", "usage_name",
          "usage_peer", "usage_program", "usage_program_day", "verdict"]
SUMMED = ("usage_hour", "usage_host", "usage_name", "usage_peer", "usage_program")
FLEET = 312                         # machines; a hundredth of them, rounded up, is 4
HOURS = int(time.time()) // 3600 * 3600 - 3 * 3600
CLOSED = ("--closed-after", str(int(time.time()) - HOURS - 2 * 3600))      # these two and no more: the day is not over, whatever the hour
PIECES = ("INSERT INTO egret.flow_1 (ts, host, name, peer_ip, up_packets, up_bytes, down_bytes, seq, exe) SELECT toDateTime({hour} + number * 30), "
          "concat('web-', toString(number % 5)), if(number % 3 = 0, '', 'a.example'), toFixedString(toString(number % 3), 16), 1, number, "
          "2 * number, number % 2, '/bin/x' FROM system.numbers LIMIT 200")
SUMS = "SELECT sum(pieces), sum(flows), sum(up_bytes), sum(down_bytes) FROM egret.{}"
LATE = "INSERT INTO egret.flow_1 (ts, host, name, up_packets, up_bytes, seq) SELECT toDateTime({hour} + 5), 'it''s', 'late.example', 1, 1000000, 0"


def count_of(c, table, node=0):
    return c.ask(f"SELECT count() FROM egret.{table}", node)


def caught_up(c, table, rows):
    """Both replicas of both shards have their half."""
    nodes = [int(count_of(c, table, node)) for node in range(4)]
    return nodes[0] == nodes[1] and nodes[2] == nodes[3] and nodes[0] + nodes[2] == rows and all(nodes)


def prevalence(c):
    """One domain of all, one of a few, one of less than a hundredth; what was refused does not count. From pieces, and then from sums by day."""
    rows = ("INSERT INTO egret.{table} (ts, host, domain, {more}) SELECT toDateTime({ts}), concat('m', toString(number)), {domain}, {values} "
            "FROM system.numbers LIMIT " + str(FLEET))
    for days_ago, domain, refused in (
            (0, "'all.example'", 0), (3, "if(number < 50, 'all.example', if(number < 3, '', 'own.example'))", 0),
            (2, "if(number < 7, 'few.example', if(number < 9, 'two.example', ''))", 0), (1, "'refused.example'", 1)):
        c.ask(rows.format(table="flow_1", ts=HOURS - days_ago * 86400, domain=domain, more="up_packets, refused", values=f"1, {refused}"))
        if refused:
            c.ask(rows.format(table="verdict_1", ts=HOURS - days_ago * 86400, domain=domain, more="calls", values="1"))
    newest = "WHERE ts = (SELECT max(ts) FROM egret.prevalence WHERE domain = '') ORDER BY domain"
    want = f"\t{FLEET + 6}\t7\t4\nall.example\t{FLEET}\t2\t4\nfew.example\t7\t1\t4\nown.example\t{FLEET - 50}\t1\t4"
    ask = f"SELECT domain, hosts, days, least FROM egret.prevalence {newest}"
    CASES.equal("prevalence: it is made", c.tool("prevalence", node=2), f"3 domains that 4 or more of {FLEET + 6} machines contact\n")
    CASES.equal("prevalence: machines and days of each domain, and of how many machines in the row without one", c.ask(ask, node=1), want)
    CASES.equal("rollup makes it four times a day, and not each time", c.tool("rollup", "--days", "8").count("machines contact"), 0)
    time.sleep(1)                       # a summary is known by its second
    c.tool("prevalence", node=3)
    CASES.equal("prevalence: by sums of days the same", c.ask(ask), want)
    c.ask(f"INSERT INTO egret.usage_day_1 (day, host, domain, up_packets) SELECT toDateTime({HOURS // 86400 * 86400 - 2 * 86400}), "
          "concat('m', toString(number)), 'planted.example', 1 FROM system.numbers LIMIT 30")
    time.sleep(1)
    c.tool("prevalence")
    CASES.check("prevalence: days that are summed are not read from pieces", "planted.example\t30\t1\t4" in c.ask(ask), c.ask(ask))


def no_marks(c, months):
    """Of a node that came back after a kill ZooKeeper takes a while to know; until then its tables may be without a leader, and refuse."""
    for month in months:
        c.ask(f"ALTER TABLE egret.summed_1_local ON CLUSTER egret DROP PARTITION {month}")
    return all(count_of(c, "summed", node) == "0" for node in range(4))


def days(c):
    """A day that is over is summed as a whole, once, and set right where pieces come late; what is whole is marked, and nothing else."""
    day = HOURS // 86400 * 86400 - 6 * 86400
    sums = SUMS.format(f"usage_day WHERE day = toDateTime({day})")
    marks = f"SELECT name, count() FROM egret.summed WHERE begin >= toDateTime({day}) AND begin < toDateTime({day + 86400}) GROUP BY name ORDER BY name"
    marked = "usage_day\t1\nusage_host\t2\nusage_hour\t2\nusage_name\t2\nusage_peer\t2\nusage_program\t2\nusage_program_day\t1"

    def rollup(node):
        return c.tool("rollup", "--days", "8", node=node).split(" hours ")[0]

    rollup(0)
    c.ask(PIECES.format(hour=day + 20 * 3600))
    CASES.equal("rollup: a day that is over", rollup(1), "2")
    CASES.equal("rollup: sums of usage_day are those of its pieces", c.ask(sums), c.ask(
        f"SELECT count(), countIf(seq = 0), sum(up_bytes), sum(down_bytes) FROM egret.flow WHERE ts >= toDateTime({day}) AND ts < toDateTime({day + 86400})"))
    CASES.equal("rollup: hours with pieces are marked in each table, and the day", c.ask(marks), marked)
    CASES.equal("rollup: a day that goes on is not", c.ask(f"SELECT max(begin) + 86400 <= toDateTime({int(time.time()) - 900}) FROM egret.summed "
                                                           "WHERE name = 'usage_day'"), "1")
    c.ask(LATE.format(hour=day + 20 * 3600))
    CASES.equal("rollup: a late piece of that day", rollup(3), "2")
    CASES.equal("rollup: it is in usage_day, all others once", c.ask(sums), "201\t101\t1019900\t39800")
    CASES.equal("rollup: marks are made once", (rollup(0), c.ask(marks)), ("0", marked))
    # as a cluster of version 2 is: sums of long ago, and no marks
    months = {time.strftime("%Y%m", time.gmtime(x)) for x in (day, HOURS)}
    lab.wait_for("no marks, at any replica", lambda: no_marks(c, months), 90)
    c.ask(f"INSERT INTO egret.usage_host_1 (hour, host, pieces) VALUES ({day - 20 * 86400}, 'a', 1), ({day - 20 * 86400}, 'b', 1)")
    rollup(2)
    CASES.equal("rollup: what was summed before there were marks counts as whole",
                c.ask(f"SELECT name, toUInt32(begin) FROM egret.summed WHERE begin < toDateTime({day})"), f"usage_host\t{day - 20 * 86400}")
    CASES.equal("rollup: and the rest is marked again", c.ask(marks), marked)


def portions():
    """A day of many hosts is summed in parts; so is what few pieces of very many hosts came late for."""
    tool = clickhouse_rig.load_tool()
    want = {f"h{i}": (9_000_000,) for i in range(5)}
    CASES.equal("all at once", tool.portions(list(want)[:2], dict(list(want.items())[:2])), [None])
    CASES.equal("parts of 20 million pieces", tool.portions(list(want), want), [["h0", "h1"], ["h2", "h3"], ["h4"]])
    many = {f"h{i}": (1,) for i in range(2500)}
    CASES.equal("parts of 1,000 hosts", [len(x) for x in tool.portions(list(many)[:2400], many)], [1000, 1000, 400])
    CASES.equal("of a table without hosts there are no parts", tool.portions([""], {"": (90_000_000,)}), [None])


class NoLeader(http.server.BaseHTTPRequestHandler):
    """A server where one of two partitions cannot be dropped just now."""

    def do_POST(self):
        sql = self.rfile.read(int(self.headers["Content-Length"])).decode()
        old = "20200101" in sql
        answer = ("18.16.1" if "version()" in sql else "Code: 292, e.displayText() = DB::Exception: Leader was suddenly changed" if old else
                  json.dumps({"data": [["flow_1", "20200101"], ["flow_1", "20200102"]]}) if "SELECT" in sql else "")
        self.send_response(500 if old else 200)
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_):
        pass


def no_leader():
    """What cannot go today does not keep the rest."""
    server = http.server.HTTPServer(("127.0.0.1", 0), NoLeader)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    done = subprocess.run([os.path.join(clickhouse_rig.PACKAGING, "egret-clickhouse"), "--url", f"http://127.0.0.1:{server.server_port}", "retention"],
                          capture_output=True, text=True, timeout=60)
    server.shutdown()
    server.server_close()
    CASES.equal("retention: a table without a leader", (done.returncode, done.stdout), (1, "1 partitions dropped, 1 not now: the next run tries again\n"))
    CASES.check("retention: and says why", "Code: 292" in done.stderr, done.stderr)


def debian():
    c = clickhouse_rig.Cluster(2, 2)
    try:
        CASES.equal("migrate makes all tables", c.tool("migrate").split(),
                    sorted(TABLES + [t + "_1" for t in TABLES] + [t + "_1_local" for t in TABLES]))
        c.ask(PIECES.format(hour=HOURS))
        lab.wait_for("replicas to be equal", lambda: caught_up(c, "flow_1_local", 200))
        CASES.check("migrate again, at another node, takes nothing away", c.tool("migrate", node=3) and count_of(c, "flow", 3) == "200")
        c.ask(PIECES.format(hour=HOURS), node=1)
        CASES.equal("the same block sent again through another replica is not counted twice", count_of(c, "flow"), "200")
        CASES.equal("rollup: closed hours, and what machines contact the first time", c.tool("rollup", *CLOSED),
                    "2 hours summed of 2\n0 domains that 2 or more of 5 machines contact\n")
        want = c.ask("SELECT count(), countIf(seq = 0), sum(up_bytes), sum(down_bytes) FROM egret.flow")
        for table in SUMMED:
            CASES.equal(f"rollup: sums of {table} are those of the pieces", c.ask(SUMS.format(table)), want)
        CASES.equal("rollup: nothing to do the second time, at another node", c.tool("rollup", *CLOSED, node=2), "0 hours summed of 2\n")
        c.ask(LATE.format(hour=HOURS))
        CASES.equal("rollup: the hour of a late piece is summed again", c.tool("rollup", *CLOSED, node=1), "1 hours summed of 2\n")
        for table in SUMMED:
            CASES.equal(f"rollup: the late piece is in {table}, all others once", c.ask(SUMS.format(table)), "201\t101\t1019900\t39800")
        c.ask(LATE.format(hour=HOURS).replace("seq)", "seq, boot)") + ", 2", node=2)
        CASES.equal("rollup: the same late piece of another time", (c.tool("rollup", *CLOSED), c.ask(SUMS.format("usage_hour"))),
                    ("1 hours summed of 2\n", "202\t102\t2019900\t39800"))
        c.ask("ALTER TABLE egret.usage_name_1_local ON CLUSTER egret DROP PARTITION " + time.strftime("%Y%m", time.gmtime(HOURS)))
        CASES.equal("rollup: a table that lost its sums gets them again", (c.tool("rollup", *CLOSED, node=3), c.ask(SUMS.format("usage_name"))),
                    ("2 hours summed of 2\n", "202\t102\t2019900\t39800"))
        CASES.equal("rollup: a host with a quote in its name", c.tool("rollup", *CLOSED), "0 hours summed of 2\n")
        prevalence(c)
        for table, column in (("usage_day", "day"), ("summed", "begin")):
            c.ask(f"INSERT INTO egret.{table}_1 ({column}, name) VALUES (1600000000, 'old.example')")
        c.ask("INSERT INTO egret.flow_1 (ts, host) VALUES " + ",".join(f"(1700000000, 'old-{i}')" for i in range(9)))
        CASES.equal("retention: old days go on every shard", c.tool("retention", node=3), "3 partitions dropped\n")
        CASES.equal("retention: the rest stays", count_of(c, "flow"), str(202 + 4 * FLEET))
        said = c.run("local-cluster", "status", c.dir)
        CASES.check("status names five processes", said.count("\n") == 5 and "not run" not in said, said)
        c.kill("s1r2")
        c.up()
        CASES.equal("up again starts what is gone", count_of(c, "flow_1_local", 1), count_of(c, "flow_1_local"))
        days(c)
        CASES.check("a wrong database name is refused", "is no name" in c.tool("--database", "a'b", "migrate", check=False))
        pids = [c.pid(x) for x in ("zk", "s1r1", "s2r2")]
        c.run("local-cluster", "down", c.dir)
        CASES.check("down ends what up started", all(map(clickhouse_rig.is_gone, pids)))
    finally:
        c.close()


def documented():
    """The commands of docs/fleet.md, in their order, in a namespace and folder of their own."""
    with open(os.path.join(lab.SOURCE, "docs", "fleet.md"), encoding="utf-8") as f:
        commands = "".join(re.findall(r"^```sh\n(.*?)^```", f.read(), re.M | re.S))
    ns = f"egchd{os.getpid()}"
    with tempfile.TemporaryDirectory() as tmp:
        commands = commands.replace("/var/tmp/egret-clickhouse", tmp).replace("curl -sS", "curl -sSf")
        try:
            lab.must("ip", "netns", "add", ns)
            lab.must("ip", "-n", ns, "link", "set", "lo", "up")
            done = subprocess.run(["nice", "-n", "15", "nsenter", f"--net=/run/netns/{ns}", "sh", "-ex"], input=commands, text=True,
                                  capture_output=True, cwd=lab.SOURCE, timeout=250)
            CASES.check(f"docs/fleet.md: its {commands.count(chr(10))} commands work", done.returncode == 0 and commands.count("\n") > 8,
                        done.stdout[-800:], done.stderr[-800:])
        finally:
            subprocess.run([os.path.join(clickhouse_rig.PACKAGING, "local-cluster"), "down", tmp], capture_output=True)
            subprocess.run(["ip", "netns", "del", ns], capture_output=True)


def today():
    folder = os.environ.get("EGRET_CHDB")
    if not folder or not os.path.isdir(os.path.join(folder, "node_modules", "chdb")):
        CASES.skip("today's ClickHouse", "EGRET_CHDB names no folder with npm's chdb")
        return
    with tempfile.TemporaryDirectory() as tmp:
        ask, statements = clickhouse_rig.chdb(folder, tmp)
        version, tool = ask.version, ask.tool
        CASES.equal(f"{version}: the schema", ask(*statements, "SHOW TABLES FROM egret").split(),
                    sorted(TABLES + [t + "_1" for t in TABLES]))
        rows = "INSERT INTO egret.name_1 (ts, host) VALUES " + ",".join(f"({HOURS}, 'h{i}')" for i in range(9))
        CASES.equal(f"{version}: a repeated block counts once", ask(rows, rows, "SELECT count() FROM egret.name"), "9\n")
        ask(PIECES.format(hour=HOURS))
        CASES.equal(f"{version}: sums", ask(tool.rollup_sql("egret", "usage_hour", HOURS, None),
                                            tool.rollup_sql("egret", "usage_hour", HOURS + 3600, ["web-1"]), LATE.format(hour=HOURS),
                                            tool.rollup_sql("egret", "usage_hour", HOURS, ["it's", "web-1"]), SUMS.format("usage_hour")),
                    ask("SELECT count(), countIf(seq = 0), sum(up_bytes), sum(down_bytes) FROM egret.flow WHERE "
                        f"ts < toDateTime({HOURS + 3600}) OR host = 'web-1'"))
        CASES.check(f"{version}: what was summed is found", ask(
            tool.there_sql("egret", HOURS, HOURS + 3600), tool.summed_sql("egret", "usage_hour", HOURS, HOURS + 3600)).count("web-1") == 2)
        day = HOURS // 86400 * 86400
        CASES.equal(f"{version}: sums of a day", ask(tool.rollup_sql("egret", "usage_day", day, None), SUMS.format(f"usage_day WHERE day = toDateTime({day})")),
                    ask(f"SELECT count(), countIf(seq = 0), sum(up_bytes), sum(down_bytes) FROM egret.flow WHERE ts < toDateTime({day + 86400}) AND ts >= toDateTime({day})"))


def main():
    clickhouse_rig.need(CASES)
    portions()
    no_leader()
    debian()
    documented()
    today()
    return CASES.end()


sys.exit(main())
