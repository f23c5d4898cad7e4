#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tools/fleet-sim against Debian's ClickHouse: what it says that it sent is there, and the same options are the same flows."""
import os
import subprocess
import sys

import clickhouse_rig
import lab

CASES = lab.golden.Cases()
SIM = os.path.join(lab.BUILD, "tools", "fleet-sim", "fleet-sim")
END = 1790000000
SUMS = ("SELECT host, count(), countIf(seq = 0), sum(up_bytes), sum(down_bytes) FROM egret.flow WHERE ts {when} "
        f"toDateTime({END} + 60) GROUP BY host ORDER BY host")


def simulate(c, *options, fails=False):
    done = subprocess.run(["nsenter", f"--net=/run/netns/{c.ns}", SIM, "--url", f"http://127.0.0.1:{clickhouse_rig.PORT}", "--user", "egret",
                           "--password-file", os.path.join(c.dir, "password"), "--hosts", "7", *options],
                          capture_output=True, text=True, timeout=120)
    if fails:
        return done
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout.splitlines()[1:]


def sums(lines):
    return "\n".join("\t".join(line.split("\t")[:5]) for line in sorted(lines))


def total(lines, column):
    return str(sum(int(line.split("\t")[column]) for line in lines))


def main():
    clickhouse_rig.need(CASES)
    if not os.path.exists(SIM):
        CASES.skip("fleet-sim", "not built")
        return CASES.end()
    c = clickhouse_rig.Cluster(2, 1)
    try:
        c.tool("migrate")
        span = ("--fill", "30000", "--days", "3", "--end", str(END), "--seed", "5")
        sent = simulate(c, *span)
        CASES.equal("a span of days: the cluster has what each host sent", c.ask(SUMS.format(when="<")), sums(sent))
        CASES.equal("names and hosts, too", c.ask("SELECT (SELECT count() FROM egret.name), (SELECT count() FROM egret.host)"),
                    f"{total(sent, 5)}\t{total(sent, 6)}")
        days = c.ask(f"SELECT uniq(toDate(ts)), max(ts) <= toDateTime({END}) + 1 FROM egret.flow")
        CASES.check("within these days", days in ("3\t1", "4\t1"), days)
        CASES.equal("the same again is the same, and is not counted twice", simulate(c, *span), sent)
        CASES.equal("nor is it there twice", c.ask(SUMS.format(when="<")), sums(sent))
        CASES.check("another seed is another fleet", simulate(c, "--fill", "3000", "--days", "1", "--end", str(END - 864000), "--seed", "6") != sent)
        live = simulate(c, "--rate", "300", "--seconds", "10", "--seed", "7")
        CASES.equal("in real time: the cluster has what each host sent", c.ask(SUMS.format(when=">=")), sums(live))
        CASES.check("at the rate that was asked for", 2700 < int(total(live, 1)) < 3300, total(live, 1))
        quiet, busy = (f(int(line.split("\t")[1]) for line in sent) for f in (min, max))
        CASES.check("hosts are quiet and busy", busy > 3 * quiet, f"{quiet}, {busy}")
        wrong = simulate(c, "--database", "nowhere", "--fill", "0", fails=True)
        CASES.check("a mistake is told", wrong.returncode == 2 and "no number" in wrong.stderr, wrong.stderr)
    finally:
        c.close()
    return CASES.end()


if __name__ == "__main__":
    sys.exit(main())
