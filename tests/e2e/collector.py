#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`egretd --collector` before a real ClickHouse: agents over mutual TLS, what it refuses, kill -9 while they send; every row once."""
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import time
import traceback

import clickhouse_rig
import lab
from clickhouse import PORT, ended, heard_of_fleet, is_quiet, summed, of_server, traffic, COUNTS, drained
from collector_rig import Agent, Authority, Collector, Relay, Table, at_once
from guarded import Guarded

CASES = lab.golden.Cases()
AGENTS = 24


class Rig:
    def __init__(self, n):
        self.n = n
        self.c = clickhouse_rig.Cluster(1, 1)
        self.c.tool("migrate")
        self.password = os.path.join(n.tmp, "password")
        shutil.copy(os.path.join(self.c.dir, "password"), self.password)
        self.ca = Authority(n.tmp)
        self.collector = Collector(n, self.c.ns, self.ca, [f"http://127.0.0.1:{PORT}"], self.password)
        pair = self.ca.issue("agents", "DNS:*.agents.example")
        self.agents = [self.agent(f"a{i}.agents.example", pair) for i in range(AGENTS)]

    def agent(self, host, pair, ca=None, **kw):
        return Agent(self.c.ns, host, pair, ca or self.ca.ca, self.collector.url, **kw)

    def counted(self, where="1"):
        return [int(x) for x in self.c.ask(f"SELECT count(), sum(up_bytes) FROM egret.flow WHERE {where}").split("\t")]


def equals(r, name):
    r.collector.drained()
    CASES.equal(f"{name}: rows and bytes are those that agents made", r.counted("host LIKE '%.agents.example'"),
                [sum(a.rows for a in r.agents), sum(a.bytes for a in r.agents)])
    CASES.equal(f"{name}: no row twice", r.c.ask("SELECT count() - uniqExact(host, flow_id) FROM egret.flow WHERE host LIKE '%.agents.example'"), "0")


def refused(r):
    """Each is told why, and spoils nothing of others."""
    a = r.agents[0]
    n, _, body = a.batch(10)
    pair = r.ca.issue("lonely", "DNS:lonely.example")
    other = Authority(r.n.tmp, "other")
    several = Table("flow_1")
    two_hosts = several.rows("a0.agents.example", 1, [1]) + several.rows("a1.agents.example", 1, [1])
    many_days = b"".join(several.row(ts=86400 * i, host=a.host) for i in range(20))
    rows = (
        ("no certificate", lambda: r.agent("x", None).insert(body, n), 403, "a client certificate is needed"),
        ("the host is not of the certificate", lambda: r.agent(a.host, pair).insert(body, n), 403, f"not of the host {a.host}"),
        ("a damaged body", lambda: a.insert(b"", n, packed=gzip.compress(body)[:-9]), 400, "damaged"),
        ("a body that is not packed", lambda: a.insert(b"", n, packed=body), 400, "damaged"),
        ("two packed texts in one", lambda: a.insert(b"", n, packed=2 * gzip.compress(body)), 400, "damaged"),
        ("rows that are not whole", lambda: a.insert(body[:-1], n), 400, "whole rows"),
        ("more rows than it says", lambda: a.insert(body, n - 1), 400, "as many rows"),
        ("rows of two hosts", lambda: a.insert(two_hosts, 2), 400, "several hosts"),
        ("rows of twenty days", lambda: a.insert(many_days, 20), 400, "too many days"),
        ("another table's rows", lambda: a.insert(body, n, table=Table("name_1")), 400, "whole rows"),
        ("a bomb", lambda: a.insert(b"", n, packed=gzip.compress(bytes(1 << 28))), 413, "too large"),
        ("no spool is named", lambda: a.insert(body, n, **{"X-Egret-Spool": None}), 409, "which batch"),
        ("no batch is named", lambda: a.insert(body, n, **{"X-Egret-Batch": "x"}), 409, "which batch"),
        ("another statement", lambda: a.post("INSERT INTO flow_1 (ts) FORMAT RowBinary", b"x"), 404, "does not know this statement"),
        ("a question", lambda: a.post("SELECT 1"), 404, "ask ClickHouse"),
    )
    for name, ask, status, words in rows:
        got = ask()
        CASES.check(f"{name}: refused, and told why", got[0] == status and words in got[2] and got[2].startswith("egret collector: "), got)
    for name, who in (("a certificate of another CA", r.agent(a.host, other.issue("stranger", f"DNS:{a.host}"))),):
        got = who.insert(body, n)
        CASES.check(f"{name}: refused", got[0] == 403 and "not one of its CA" in got[2], got)
    got = a.post("SELECT version(), (SELECT count() FROM system.settings WHERE name = 'async_insert') FORMAT TabSeparated")
    CASES.equal("the hello of every sender", (got[0], got[2]), (200, "18.16.0\t0\n"))
    CASES.check("it says that it is a collector", got[1].get("X-Egret-Collector"))
    a.send(10)
    CASES.check("the log says it", "refused: " in r.collector.messages(), r.collector.messages())


def again(r):
    """The same batch is counted once, whoever asks again; the same number of another host's spool is another batch."""
    a, b = r.agents[1], r.agents[2]
    b.id, b.seq = a.id, a.seq                # a copied disk
    for who in (a, b):
        n, amount, body = who.batch(50)
        who.seq += 1
        who.rows += n
        who.bytes += amount
        CASES.equal("a batch that comes three times is taken", [who.insert(body, n)[0] for _ in range(3)], [200] * 3)
    equals(r, "batches that came again")
    CASES.equal("status counts them", r.collector.status()["collector"]["batches_again"], 4)


def killed(r, seconds=15, rounds=5):
    """kill -9 of collector and sender at random, while all agents send."""
    end = time.monotonic() + seconds
    limit = end + 90
    before = sum(a.batches for a in r.agents)

    def each(a):
        while time.monotonic() < end:
            a.send(stop=lambda: time.monotonic() > limit)
            time.sleep(random.uniform(0, 0.2))

    threads, wrong = at_once(r.agents, each)
    for i in range(rounds):
        time.sleep(random.uniform(0.5, 2 * seconds / rounds - 1.5))
        if i % 3 == 2:
            os.kill(r.collector.status()["clickhouse"]["pid"], 9)
        else:
            r.collector.kill()
            r.collector.start()
    for t in threads:
        t.join()
    CASES.equal("all agents got through", wrong, [])
    equals(r, f"{rounds} rounds of kill -9")
    sent = sum(a.batches for a in r.agents) - before
    tries = sum(a.tries for a in r.agents)
    CASES.check(f"{sent} batches in {tries} tries", sent > 5 * AGENTS, sent, tries)


def cpu_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def merged(r):
    """Far fewer inserts than batches."""
    before = int(r.collector.status()["clickhouse"]["sent_batches"])
    cpu = cpu_of(r.collector.child.pid)

    def each(a):
        for _ in range(40):
            a.send(40)

    began = time.monotonic()
    threads, wrong = at_once(r.agents, each)
    for t in threads:
        t.join()
    took = time.monotonic() - began
    cpu = (cpu_of(r.collector.child.pid) - cpu) / 40 / AGENTS * 1e6
    r.collector.drained()
    inserts = int(r.collector.status()["clickhouse"]["sent_batches"]) - before
    CASES.equal("all agents got through", wrong, [])
    equals(r, "many small batches")
    CASES.check(f"{40 * AGENTS} batches of {AGENTS} agents, taken at {40 * AGENTS / took:.0f} a second, were {inserts} inserts", inserts <= 20, inserts)
    print(f"{40 * AGENTS} batches of 40 rows at {40 * AGENTS / took:.0f} a second, {cpu:.0f} us of the collector's CPU each: {inserts} inserts",
          file=sys.stderr)


def real(r):
    """egretd itself, by its client certificate: to the byte what eve.json says."""
    host = lab.must("hostname").strip()
    cert, key = r.ca.issue("machine", f"DNS:{host}")
    d = Guarded(r.n, "policy off", f'store off\nlearn 0s\nstore clickhouse {{ url "{r.collector.url}" ca "{r.ca.ca}"\n'
                f'certificate "{cert}" key "{key}" spool 200mb }}\n', ns=r.c.ns)
    d.start()
    for kill in (False, True):
        traffic(r.n, times=2)
        r.n.wait_quiet()
        lab.wait_for("what was counted to be committed", lambda: is_quiet(d))
        time.sleep(2)
        if kill:
            r.collector.kill()
            d.kill()
            r.collector.start()
            d.start()
    drained(d)
    r.collector.drained()
    rows, got = ended(d), of_server(r.c, host)
    CASES.equal(f"bytes and packets of {len(rows)} flows of a real egretd are those of its eve.json", dict(zip(COUNTS, got)), summed(rows))
    CASES.equal("as many flows", got[4], len(rows))
    CASES.equal("no piece twice", got[5], got[6])
    status = json.loads(d.egret("status", "--json").stdout)["clickhouse"]
    clickhouse_rig.fleet(r.c, 60, "everybody.example")
    os.kill(r.collector.status()["clickhouse"]["pid"], 9)      # its sender asks when it starts
    lab.wait_for("the collector to know what the fleet contacts",
                 lambda: os.path.exists(os.path.join(r.collector.dir, "state", "collector", "spool", "prevalence")), 60)
    machines = int(r.c.ask("SELECT max(hosts) FROM egret.prevalence"))
    CASES.equal("an agent hears of the fleet from its collector", heard_of_fleet(d, machines)["detect"]["fleet"]["domains"],
                int(r.c.ask("SELECT count() FROM egret.prevalence WHERE domain != ''")))
    CASES.check("that is no problem to the collector", not r.collector.status()["clickhouse"].get("fleet_problem"))
    status = json.loads(d.egret("status", "--json").stdout)["clickhouse"]
    CASES.check("its status says that it sends to a collector", status["collector"] and status["url"] == r.collector.url, status)
    d.stop()
    # a certificate of another host
    cert, key = r.ca.issue("elsewhere", "DNS:elsewhere.example")
    d = Guarded(r.n, "policy off", f'store off\nlearn 0s\nstore clickhouse {{ url "{r.collector.url}" ca "{r.ca.ca}"\n'
                f'certificate "{cert}" key "{key}" spool 200mb }}\n', ns=r.c.ns)
    d.start()
    traffic(r.n, times=1)
    lab.wait_for("the refusal to be said", lambda: f"the collector refuses it: the certificate is not of the host {host}" in d.messages(), 40)
    CASES.check("rows wait", json.loads(d.egret("status", "--json").stdout)["clickhouse"]["waiting"] > 0)
    d.stop()
    return rows


def several(r, rows_before):
    """Two collectors: a batch that may be at the first one is not given to the second, by the next sender neither."""
    host = lab.must("hostname").strip()
    cert, key = r.ca.path("machine", "crt"), r.ca.path("machine", "key")
    other = Collector(r.n, r.c.ns, r.ca, [f"http://127.0.0.1:{PORT}"], r.password, port=18445, name="second")
    relay = Relay(r.c.ns, 18446, r.collector.port)
    d = Guarded(r.n, "policy off", f'store off\nlearn 0s\nstore clickhouse {{ url "{relay.url}" "{other.url}" ca "{r.ca.ca}"\n'
                f'certificate "{cert}" key "{key}" spool 200mb }}\n', ns=r.c.ns)
    relay.deaf = True
    d.start()
    traffic(r.n, times=1)
    r.n.wait_quiet()

    def problem():
        return json.loads(d.egret("status", "--json").stdout)["clickhouse"].get("send_problem", "")

    def taken():
        return other.status()["collector"]["batches"]

    lab.wait_for("an answer to be lost", lambda: "it may have a batch already" in problem(), 40)
    CASES.equal("the second collector gets nothing", taken(), 0)
    lab.wait_for("what was counted to be committed", lambda: is_quiet(d))
    time.sleep(2)
    d.kill()
    relay.shut()
    d.start()
    lab.wait_for("the next sender to wait for the first one", lambda: "it may have a batch already" in problem(), 40)
    CASES.equal("the second collector gets nothing from the next sender", taken(), 0)
    relay.deaf = False
    relay.listen()
    drained(d)
    for _ in range(3):      # what was on its way just when the relay went may be there, and waits for it: rightly
        relay.shut()
        traffic(r.n, times=1)
        r.n.wait_quiet()
        lab.wait_for("the second collector to get batches", lambda: taken() or "it may have a batch already" in problem(), 40)
        if taken():
            break
        relay.listen()
        drained(d)
    CASES.check("the second collector gets batches when the first is away", taken() > 0, problem())
    drained(d)
    r.collector.drained()
    other.drained()
    rows, got = rows_before + ended(d), of_server(r.c, host)
    CASES.equal("bytes and packets by two collectors are those of eve.json", dict(zip(COUNTS, got)), summed(rows))
    CASES.equal("as many flows", got[4], len(rows))
    CASES.equal("no piece twice", got[5], got[6])
    CASES.equal("egretd ends well", d.stop(), 0)
    other.stop()


def full(r):
    """ClickHouse away: what was taken stays, what is new is refused, and all of it arrives when it is back."""
    r.collector.stop()
    small = Collector(r.n, r.c.ns, r.ca, [f"http://127.0.0.1:{PORT}"], r.password, spool="100mb", port=18444, name="small")
    r.c.kill("s1r1")
    a = r.agents[3]
    a.url = a.url._replace(netloc=f"127.0.0.1:{small.port}")
    a.close()
    rows = 0
    for _ in range(100):
        body = b"".join(a.table.row(ts=int(time.time()), host="a3.agents.example", flow_id=a.rows + i + 1, boot=1, up_bytes=1,
                                    rule_text=os.urandom(100000)) for i in range(20))
        a.seq += 1
        got = a.insert(body, 20)
        if got[0] != 200:
            break
        rows += 20
        a.rows += 20
        a.bytes += 20
    CASES.check("a full spool refuses, and says so", got[0] == 503 and "spool is full" in got[2], got)
    CASES.check("but only then", 20 * 20 <= rows <= 20 * 55, rows)
    CASES.equal("nothing is dropped", small.status()["collector"]["dropped"], 0)
    r.c.up()
    small.drained(120)
    CASES.equal("all that was taken arrives", r.counted("host LIKE '%.agents.example'"),
                [sum(a.rows for a in r.agents), sum(a.bytes for a in r.agents)])
    CASES.equal("and there is room again", a.insert(body, 20)[0], 200)
    small.stop()


def main():
    clickhouse_rig.need(CASES)
    n = lab.Lab("col")
    r = None
    random.seed(7)
    try:
        n.dnsmasq()
        n.echo(7003)
        n.echo(7003, udp=True)
        r = Rig(n)
        refused(r)
        again(r)
        merged(r)
        killed(r)
        several(r, real(r))
        full(r)
    except (RuntimeError, TimeoutError, subprocess.SubprocessError, OSError, KeyError) as e:
        CASES.check("collector", False, repr(e), r and r.collector.messages()[-2000:], *(traceback.format_tb(e.__traceback__)[1:3]))
    finally:
        if r:
            r.c.close()
        n.close()
    return CASES.end()


if __name__ == "__main__":
    sys.exit(main())
