#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Everything is killed at random, again and again: egretd, senders, a collector, each ClickHouse server, ZooKeeper. Then sums are compared.

usage: clickhouse_chaos.py [--seconds N] [--seed N]

Two shards of two replicas. A real egretd with traffic, half of the agents through a collector and half of them straight into ClickHouse at
several addresses. In the middle a whole shard is away: spools fill, and drain in order. What is compared, to the byte: ClickHouse against
eve.json, and against what the agents made.
"""
import argparse
import os
import random
import shutil
import subprocess
import sys
import time
import urllib.parse

import clickhouse_rig
import lab
from clickhouse import COUNTS, PORT, ended, is_quiet, of_server, status, summed, traffic
from collector_rig import Agent, Authority, Collector, at_once
from guarded import Guarded

CASES = lab.golden.Cases()
NODES = ("s1r1", "s1r2", "s2r1", "s2r2")
URLS = [f"http://127.0.0.1:{PORT + i}" for i in range(len(NODES))]
AGENTS = 6


class Straight(Agent):
    """Sends into ClickHouse as a sender without a collector does: the same bytes, at the next address when one fails."""

    def __init__(self, ns, host, password):
        super().__init__(ns, host, None, None, URLS[0])
        with open(password, encoding="ascii") as f:
            self.password = f.read().strip()
        self.at = 0

    def connect(self):
        self.url = urllib.parse.urlsplit(URLS[self.at])
        super().connect()

    def insert(self, body, rows, **kw):
        more = f"&user=egret&password={self.password}&insert_deduplicate=1&insert_distributed_sync=1"
        try:
            status_, headers, words = super().insert(body, rows, more=more)
        except OSError:
            self.at = (self.at + 1) % len(NODES)
            raise
        if status_ != 200:
            self.close()
            self.at = (self.at + 1) % len(NODES)
            status_ = 500               # of a cluster in trouble: none of them is for good
        return status_, headers, words


def alike(c):
    """A replica that lost ZooKeeper in mid-insert keeps the block, and looks after 5 minutes whether it is its own: until then it may be there twice."""
    busy = [c.ask("SELECT count() FROM system.replicas WHERE queue_size > 0 OR is_readonly", node=i) for i in range(4)]
    rows = [c.ask("SELECT count() FROM egret.flow_1_local", node=i) for i in range(4)]
    return set(busy) == {"0"} and rows[0] == rows[1] and rows[2] == rows[3]


class Chaos:
    def __init__(self, n, seconds, seed):
        self.n, self.seconds, self.dice = n, seconds, random.Random(seed)
        self.c = clickhouse_rig.Cluster(2, 2)
        self.c.tool("migrate")
        password = os.path.join(n.tmp, "password")
        shutil.copy(os.path.join(self.c.dir, "password"), password)
        ca = Authority(n.tmp)
        self.collector = Collector(n, self.c.ns, ca, URLS, password)
        pair = ca.issue("agents", "DNS:*.agents.example")
        self.agents = [Agent(self.c.ns, f"a{i}.agents.example", pair, ca.ca, self.collector.url) for i in range(AGENTS)]
        self.agents += [Straight(self.c.ns, f"b{i}.agents.example", password) for i in range(AGENTS)]
        urls = " ".join(f'"{x}"' for x in URLS)
        self.d = Guarded(n, "policy off", f'store off\nlearn 0s\nstore clickhouse {{ url {urls} user egret password-file "{password}" '
                         'spool 200mb }\n', ns=self.c.ns)
        self.d.start()
        self.away = []

    def at_rest(self):
        """What egretd counted is in eve.json and in its spool: what is younger dies with it, in both."""
        self.n.wait_quiet()
        lab.wait_for("what was counted to be committed", lambda: is_quiet(self.d))
        time.sleep(2)

    def kill(self, what):
        print(f"{time.monotonic() - self.began:6.1f} s: {what}", file=sys.stderr, flush=True)
        if what == "egretd":
            self.at_rest()
            self.d.kill()
            self.d.start()
        elif what == "sender":
            os.kill(status(self.d)["pid"], 9)
        elif what == "collector":
            self.collector.kill()
            time.sleep(self.dice.uniform(0, 2))
            self.collector.start()
        elif what == "collector's sender":
            os.kill(self.collector.status()["clickhouse"]["pid"], 9)
        else:
            names = NODES[2:] if what == "shard" else (what,)
            for name in names:
                self.c.kill(name)
            time.sleep(8 if what == "shard" else self.dice.uniform(0, 3))
            self.c.up()

    def run(self):
        self.began = time.monotonic()
        end = self.began + self.seconds
        limit = end + 120

        def each(a):
            while time.monotonic() < end:
                a.send(rows=random.randrange(1, 300), stop=lambda: time.monotonic() > limit)
                time.sleep(random.uniform(0, 0.5))

        threads, wrong = at_once(self.agents, each)
        whats = ["egretd", "sender", "collector", "collector's sender", *NODES, "zk"]
        middle, pending = self.began + self.seconds / 2, []
        while time.monotonic() < end - 5:
            traffic(self.n, times=1)
            if middle and time.monotonic() > middle:
                middle = None
                self.kill("shard")
                continue
            if not pending:             # each of them at least once, in any order
                pending = self.dice.sample(whats, len(whats))
            self.kill(pending.pop())
            time.sleep(self.dice.uniform(0, 2))
        for t in threads:
            t.join()
        CASES.equal("all agents got through", wrong, [])

    def compare(self):
        d, c = self.d, self.c
        self.at_rest()
        d.stop()
        d.start()                       # sends what was open at the end
        lab.wait_for("egretd's spool to be empty", lambda: status(d)["waiting"] == 0, 120)
        self.collector.drained(120)
        lab.wait_for("replicas to be alike", lambda: alike(c), 400)
        made = sum(a.rows for a in self.agents), sum(a.bytes for a in self.agents)
        for node in range(4):
            got = c.ask("SELECT count(), sum(up_bytes), count() - uniqExact(host, flow_id) FROM egret.flow WHERE host LIKE '%.agents.example'",
                        node).split("\t")
            CASES.equal(f"{NODES[node]}: {made[0]} rows of agents, to the byte, none twice", [int(x) for x in got], [*made, 0])
        rows, got = ended(d), of_server(c, lab.must("hostname").strip())
        CASES.equal(f"bytes and packets of {len(rows)} flows are those of eve.json", dict(zip(COUNTS, got)), summed(rows))
        CASES.equal("as many flows", got[4], len(rows))
        CASES.equal("no piece twice", got[5], got[6])
        CASES.equal("nothing was dropped", (status(d)["dropped"], self.collector.status()["collector"]["dropped"]), (0, 0))
        CASES.check("there was something to lose", len(rows) > 10 and made[0] > 5000, len(rows), made)


def main():
    clickhouse_rig.need(CASES)
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seconds", type=int, default=75)
    p.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    args = p.parse_args()
    print(f"--seed {args.seed}", file=sys.stderr, flush=True)
    random.seed(args.seed)
    n = lab.Lab("chaos")
    c = None
    try:
        n.dnsmasq()
        n.echo(7003)
        n.echo(7003, udp=True)
        c = Chaos(n, args.seconds, args.seed)
        c.run()
        c.compare()
    except (RuntimeError, TimeoutError, subprocess.SubprocessError, OSError, KeyError) as e:
        CASES.check(f"--seed {args.seed}", False, repr(e), c and c.d.messages()[-1500:], c and c.collector.messages()[-1500:])
    finally:
        if c:
            c.c.close()
        n.close()
    return CASES.end()


if __name__ == "__main__":
    sys.exit(main())
