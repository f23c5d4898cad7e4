#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What became of versions of a fleet's policy, from egretd to a real ClickHouse and back by `egret fleet policy status`."""
import json
import os
import re
import shutil
import subprocess

import clickhouse_rig
import lab
from clickhouse_rig import PORT
from fleet_policy import GOOD, HOST, KNOCK, OTHER, Publisher, policy_of, refuses, wait_fleet
from guarded import Guarded
from lab import S4

CASES = lab.golden.Cases()
OTHERS = ("INSERT INTO egret.policy_1 (ts, host, time_us, version, state, reason, refused_before_hour, refused_after_hour) VALUES "
          "(now(), 'web-2', 1, 2, 'took', '', 0, 0), (now(), 'web-2', 2, 2, 'kept', '', 6, 7), "
          "(now(), 'web-3', 1, 2, 'refused', 'a rule that cannot be', 0, 0)")


def asked(d, *argv):
    return d.egret("fleet", "policy", "status", "--config", d.conf, *argv)


def versions(d):
    return {r["version"]: r for r in map(json.loads, asked(d, "--json").stdout.splitlines())}


def documented(d):
    """The commands of docs/fleet.md that ask ClickHouse."""
    with open(os.path.join(lab.SOURCE, "docs", "fleet.md"), encoding="utf-8") as f:
        commands = re.findall(r"^```fleet\n(.*?)^```", f.read(), re.M | re.S)[1].replace("policy status", f"policy status --config {d.conf}")
    done = subprocess.run(d.inside("sh", "-ex"), input=commands, text=True, capture_output=True,
                          env=dict(os.environ, PATH=os.path.dirname(lab.EGRET) + ":" + os.environ["PATH"]))
    CASES.check("docs/fleet.md: its commands work", done.returncode == 0 and "STEPPED BACK" in done.stdout, done.stdout, done.stderr)


def others_say(c, d, version, state, machines):
    """That many others tell it, and the sender asks again: it does when it starts, and every five minutes."""
    c.ask(f"INSERT INTO egret.policy_1 (ts, host, time_us, version, state) SELECT now(), concat('{state}', toString(number)), 1, {version}, "
          f"'{state}' FROM system.numbers LIMIT {machines}")
    os.kill(json.loads(d.egret("status", "--json").stdout)["clickhouse"]["pid"], 9)
    path = os.path.join(d.run_dir, "state", "spool", "policy")

    def heard():
        if not os.path.exists(path):
            return False
        with open(path, encoding="ascii") as f:
            return any(re.fullmatch(rf"{version}\t{state}\t\d+", x) and int(x.split("\t")[2]) >= machines for x in f.read().splitlines())

    lab.wait_for("the sender to hear of it", heard, 60)


def held(c, p, d):
    """Whose turn has come does not repeat what harmed those before it; it goes on when they are few after all."""
    others_say(c, d, 3, "enforced", 10)
    others_say(c, d, 3, "stepped-back", 2)
    p.write("web.egret", refuses(OTHER) + "# another text\n")
    p.publish("version 3\ngroup web policy web.egret\nrollout for 2s\n")
    f = wait_fleet(d, "version 3 to be held", version=3, state="held: others went back from it")
    CASES.equal("held: what was in force stays", f["in_force"], 1)
    lab.wait_for("that to be told", lambda: versions(d).get(3, {}).get("waits") and versions(d), 60)
    CASES.check("held: why", any("2 of 12 machines that enforced it went back" in x or "2 of 10 machines that enforced it went back" in x
                                 for x in versions(d)[3]["reasons"]), versions(d)[3])
    others_say(c, d, 3, "enforced", 40)
    f = wait_fleet(d, "version 3 to be kept after all", version=3, state="in force", in_force=3)
    CASES.check("held: once in the log", d.messages().count("machines that enforced it went back from it") == 1, d.messages())


def told(n, c):
    p = Publisher(n)
    p.write("web.egret", refuses(OTHER))
    p.publish("version 1\ngroup web policy web.egret\nrollout for 2s step-back refusals 3x\n")
    password = os.path.join(n.tmp, "password")
    shutil.copy(os.path.join(c.dir, "password"), password)
    d = Guarded(n, ns=c.ns, policy=policy_of(p, p.out),
                conf=f'store clickhouse {{ url "http://127.0.0.1:{PORT}" database egret user egret password-file "{password}" }}\n')
    d.start()
    wait_fleet(d, "version 1 to be kept", in_force=1, state="in force")
    knock = n.start("/usr/bin/python3", "-c", KNOCK, S4, GOOD, ns=n.client, watched=True)
    p.write("web.egret", refuses(GOOD))
    p.publish("version 2\ngroup web policy web.egret\nrollout for 60s step-back refusals 3x\n")
    wait_fleet(d, "to step back", state="stepped back")
    n.stop(knock)
    c.ask(OTHERS)
    got = lab.wait_for("rows to arrive", lambda: versions(d).get(2, {}).get("stepped_back") and versions(d), 60)
    CASES.equal("version 1 is kept", [got[1][k] for k in ("waits", "on_trial", "kept", "stepped_back", "refused")], [0, 0, 1, 0, 0])
    CASES.equal("version 2: one machine kept it, one stepped back, one refused it",
                [got[2][k] for k in ("waits", "on_trial", "kept", "stepped_back", "refused")], [0, 0, 1, 1, 1])
    CASES.check("version 2: refusals since", got[2]["refused_before_hour"] >= 6 and got[2]["refused_after_hour"] > 1200, got[2])
    CASES.check("version 2: why", len(got[2]["reasons"]) == 2 and "web-3: a rule that cannot be" in got[2]["reasons"] and
                any(x.startswith(f"{HOST}: ") and "refusals within a minute" in x for x in got[2]["reasons"]), got[2])
    rows = c.ask(f"SELECT state, group_name, stage, policy_file, rules FROM egret.policy WHERE host = '{HOST}' AND version = 1 ORDER BY time_us")
    CASES.equal("each step is a row", rows.splitlines(), [f"{s}\tweb\tall\tweb.egret\t1" for s in ("took", "enforced", "kept")])
    shown = asked(d).stdout
    CASES.check("as a table", "STEPPED BACK" in shown and "version 2, web-3: a rule that cannot be" in shown, shown)
    documented(d)
    held(c, p, d)
    d.stop()


def main():
    clickhouse_rig.need(CASES)
    lab.need(CASES, "minisign")
    n = lab.Lab("fleetch")
    c = clickhouse_rig.Cluster(1, 1)
    try:
        c.tool("migrate")
        n.sink(GOOD)
        told(n, c)
    finally:
        c.close()
        n.close()
    return CASES.end()


if __name__ == "__main__":
    raise SystemExit(main())
