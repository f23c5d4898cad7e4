#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""egretd and a real ClickHouse (Debian's, one server): what is there equals what the machine counted, to the byte, whatever is killed."""
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import time

import clickhouse_rig
import lab
from clickhouse_rig import PORT
from guarded import Guarded
from lab import S4, S6

CASES = lab.golden.Cases()
PROXY = PORT + 50
REFUSED, SHELL = 7009, 7010
RULE = f"reject to {S4} port {REFUSED}"
POLICY = f"{RULE}\ndefault allow\n"
COUNTS = ("bytes_toserver", "bytes_toclient", "pkts_toserver", "pkts_toclient")


class Rig:
    def __init__(self, n):
        self.n = n
        key, self.cert = os.path.join(n.tmp, "ch.key"), os.path.join(n.tmp, "ch.crt")
        lab.must("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
                 "-out", self.cert, "-days", "2", "-subj", "/CN=ch.example", "-addext", "subjectAltName=IP:127.0.0.1")
        self.c = clickhouse_rig.Cluster(1, 1, tls=(self.cert, key))
        self.c.tool("migrate")
        self.password = os.path.join(n.tmp, "password")
        shutil.copy(os.path.join(self.c.dir, "password"), self.password)
        self.mode_file = os.path.join(n.tmp, "mode")
        self.mode("pass")
        self.proxy = n.start("/usr/bin/python3", os.path.join(lab.HERE, "clickhouse_proxy.py"), PROXY, PORT, self.mode_file, ns=self.c.ns,
                             ready=lambda _: n.listens("t", PROXY, self.c.ns))

    def mode(self, word):
        with open(self.mode_file + ".new", "w", encoding="ascii") as f:
            f.write(word)
        os.rename(self.mode_file + ".new", self.mode_file)

    def tries(self):
        with open(self.proxy.log, encoding="ascii") as f:
            return f.read().split()

    def conf(self, url=f"http://127.0.0.1:{PROXY}", more=""):
        return (f'store off\nlearn 0s\nstore clickhouse {{ url "{url}" database egret user egret password-file "{self.password}"\n'
                f'spool 200mb {more} }}\n')

    def daemon(self, **kw):
        d = Guarded(self.n, "policy \"FILE\" enforce", self.conf(**kw), ns=self.c.ns)
        d.write(POLICY)
        d.start()
        return d


def status(d):
    return json.loads(d.egret("status", "--json").stdout)["clickhouse"]


def spool(d, *below):
    return os.path.join(d.run_dir, "state", "spool", *below)


def traffic(n, times=3):
    """TCP and UDP of both families with names, pings, refusals."""
    n.python("import socket,sys\n"
             f"for host in ('www.{lab.ZONE}', '{S6}') * {times}:\n"
             " s=socket.create_connection((host,7003)); s.send(b'x'*50000); s.shutdown(1)\n"
             " while s.recv(65536): pass\n"
             " s.close()\n"
             f"u=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); u.connect(('{S4}',7003)); u.send(b'y'*500); u.recv(999); u.close()\n"
             f"r=socket.socket(); print(r.connect_ex(('{S4}',{REFUSED})))\n")
    n.run("ping", "-c", "2", "-i", "0.2", S4)


def is_quiet(d):
    """All that egretd has counted so far lies in the spool or is sent."""
    s = status(d)
    return s["queued_bytes"] == 0 and s["rows"] > 0 and s


def is_drained(d):
    s = status(d)
    names = [x for x in os.listdir(spool(d)) if x not in ("sent", "refused", "id", "collector", "prevalence", "policy")]
    return s["waiting"] == 0 and s["queued_bytes"] == 0 and not names and s


def drained(d, seconds=60):
    return lab.wait_for("the spool to be empty", lambda: is_drained(d), seconds)


def ended(d):
    """What eve.json has of flows that ended, of every run."""
    return [r for r in d.records() if r["event_type"] == "flow" and "reason" in r["flow"]]


def summed(rows):
    return {k: sum(r["flow"][k] for r in rows) for k in COUNTS}


def of_server(c, host=None):
    """The same of ClickHouse: whole flows, by the run that saw them. All opened by this side, so that up is to the server."""
    text = c.ask("SELECT sum(up_bytes), sum(down_bytes), sum(up_packets), sum(down_packets), uniqExact(boot, flow_id), count(), "
                 "uniqExact(boot, flow_id, seq) FROM egret.flow WHERE (boot, flow_id) IN (SELECT boot, flow_id FROM egret.flow WHERE ends)"
                 + (f" AND host = '{host}'" if host else ""))
    return [int(x) for x in text.split("\t")]


def equals(name, c, rows):
    got = of_server(c)
    CASES.equal(f"{name}: bytes and packets of {len(rows)} flows are those of eve.json", dict(zip(COUNTS, got)), summed(rows))
    CASES.equal(f"{name}: as many flows", got[4], len(rows))
    CASES.equal(f"{name}: no piece twice", got[5], got[6])


def fleet(d):
    """How the machines are, by their own word: here there is one."""
    lines = [json.loads(x) for x in d.egret("fleet", "status", "--config", d.conf, "--json").stdout.splitlines()]
    version = d.egret("--version").stdout.split()[-1]
    CASES.equal("egret fleet status: this machine", [(x["host"], x["version"], x["policy_mode"], x["policy_rules"], x["lost"]) for x in lines],
                [(lab.must("hostname").strip(), version, "enforce", 1, 0)])
    shown = d.egret("fleet", "status", "--config", d.conf).stdout
    CASES.check("egret fleet status: as a table", "enforce: policy.egret, 1 rules" in shown and "1 machines, 0 of them silent" in shown, shown)
    with open(d.conf + ".other", "w", encoding="ascii") as f:
        f.write('store clickhouse { url "http://127.0.0.1:1" }\n')
    done = d.egret("fleet", "status", "--config", d.conf + ".other")
    CASES.check("egret fleet status: nobody answers", done.returncode == 1 and "http://127.0.0.1:1: " in done.stderr, done)


def everything(r):
    """One run without trouble: each table, each way of looking."""
    n, c = r.n, r.c
    wire = n.capture()
    d = r.daemon()
    traffic(n)
    shell = n.start("socat", f"TCP:{S4}:{SHELL}", "EXEC:sh", ns=n.client, watched=True)
    lab.wait_for("the finding", lambda: d.findings(), 20)
    n.stop(shell)
    n.wait_quiet()
    frames = wire.stop()
    drained(d)
    pid = status(d)["pid"]
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        rights = dict(x.split(":\t") for x in f.read().splitlines() if ":\t" in x)
    CASES.check("who sends has no rights", all(int(rights[k], 16) == 0 for k in ("CapEff", "CapPrm", "CapBnd", "CapInh")) and
                rights["NoNewPrivs"] == "1" and rights["Seccomp"] == "2", rights)
    with open(r.password, encoding="ascii") as f:
        secret = f.read().strip()
    with open(f"/proc/{pid}/cmdline", "rb") as f:
        shown = f.read().decode() + d.messages() + d.egret("status", "--json").stdout
    CASES.check("the password is nowhere to be seen", secret and secret not in shown)
    CASES.check("egret status says it", "clickhouse http://127.0.0.1" in d.egret("status").stdout, d.egret("status").stdout)
    fleet(d)
    CASES.equal("egretd ends well", d.stop(), 0)
    d.start()                               # sends what was open at the end
    drained(d)
    records, rows, host = d.records(), ended(d), lab.must("hostname").strip()
    equals("all", c, rows)
    CASES.equal("to the byte of the wire", of_server(c)[0] + of_server(c)[1], sum(sum(f.bytes) for f in frames.values()))
    CASES.equal("the host", c.ask("SELECT DISTINCT host FROM egret.flow"), host)
    want = {(x["egret"]["name"], x.get("app_proto", ""), x["process"].get("executable")) for x in rows if "name" in x.get("egret", {}) and "process" in x}
    got = {tuple(x.split("\t")) for x in c.ask("SELECT DISTINCT name, app, exe FROM egret.flow WHERE name != '' AND ends").split("\n")}
    CASES.same_set("names, protocols, programs", got, want)
    answers = [x for x in records if x["event_type"] == "dns" and x["dns"]["type"] == "response"]
    CASES.equal("answers of DNS", c.ask("SELECT count() FROM egret.name"), str(len(answers)))
    CASES.equal("one of them", c.ask(f"SELECT DISTINCT type, rcode, answers FROM egret.name WHERE name = 'www.{lab.ZONE}' AND type = 'A'"),
                f"A\tNOERROR\t['{S4}']")
    drops = [x for x in records if x["event_type"] == "drop"]
    CASES.equal("refusals, with their rule", c.ask("SELECT sum(calls), any(rule_text), any(action) FROM egret.verdict"),
                f"{sum(x['drop'].get('calls', 0) for x in drops)}\t{RULE}\treject")
    found = [x for x in records if x["event_type"] == "alert" and "finding" in x.get("egret", {})]
    CASES.equal("findings, each time they changed", c.ask("SELECT count(), uniqExact(id) FROM egret.finding"),
                f"{len(found)}\t{len({x['egret']['finding']['id'] for x in found})}")
    record = json.loads(c.ask("SELECT record FROM egret.finding ORDER BY time_us LIMIT 1 FORMAT JSONCompact"))["data"][0][0]
    CASES.check("a finding's record is eve.json's", json.loads(record) in found, record)
    return d


def deaf_and_cut(r, d):
    """Answers that get lost, requests that are cut: sent again with the same bytes, counted once."""
    for word in ("deaf 2", "cut 2", "deaf 1"):
        before = len(r.tries())
        r.mode(word)
        traffic(r.n, times=1)
        r.n.wait_quiet()
        lab.wait_for("a try to go wrong", lambda: set(r.tries()[before:]) & {"deaf", "cut"})
        drained(d)
        equals(word, r.c, ended(d))
    CASES.check("each was told once, and that it is over", d.messages().count("clickhouse:") <= 2 * 5 and
                "takes batches again" in d.messages(), d.messages())


def killed(r, d, rounds=6):
    """kill -9 of egretd, of the server, of the sender, at any time; and both."""
    random.seed(7)
    for i in range(rounds):
        traffic(r.n, times=2)
        r.n.wait_quiet()
        ended_before = len(ended(d))
        lab.wait_for("what was counted to be committed", lambda: is_quiet(d))
        time.sleep(2)                       # eve.json and spool are written each second; what is younger dies with egretd, in both
        time.sleep(random.uniform(0, 4))    # some batches are on their way now
        what = ("egretd", "server", "both", "sender")[i % 4]
        if what in ("egretd", "both"):
            d.kill()
        if what in ("server", "both"):
            r.c.kill("s1r1")
            r.c.up()
        if what == "sender":
            os.kill(status(d)["pid"], 9)
        if what in ("egretd", "both"):
            d.start()
        CASES.check(f"round {i}, {what} killed: flows were counted", len(ended(d)) >= ended_before > 0)
    drained(d, 90)
    equals(f"{rounds} rounds of kill -9", r.c, [x for x in ended(d)])


def sent_again(r, d):
    """A server that lost its disk gets back what was kept; one that did not counts nothing twice."""
    before = of_server(r.c)
    d.stop()
    names = os.listdir(spool(d, "sent"))
    for name in names:
        os.rename(spool(d, "sent", name), spool(d, name))
    d.start()
    drained(d)
    CASES.check(f"{len(names)} batches sent again", len(names) > 3)
    CASES.equal("batches that come again are not counted twice", of_server(r.c)[5:], of_server(r.c)[5:6] * 2)
    CASES.check("and nothing is gone", of_server(r.c)[5] >= before[5], of_server(r.c), before)


def said_once(r, d, name, words, hinder, mend, restart=True):
    if restart:
        d.stop()
    hinder()
    if restart:
        d.start()
    traffic(r.n, times=1)
    lab.wait_for(f"{name} to be said", lambda: words in d.messages(), 40)
    traffic(r.n, times=1)
    time.sleep(5)                           # several tries
    CASES.equal(f"{name}: said once", d.messages().count(words), 1)
    shown = d.egret("status").stdout
    CASES.check(f"{name}: egret status says it, and rows wait", words in shown and status(d)["waiting"] > 0, shown)
    CASES.check(f"{name}: enforcement goes on", r.n.python(
        f"import socket; print(socket.socket().connect_ex(('{S4}',{REFUSED})))").strip() != "0")
    lines = len(d.lines())
    traffic(r.n, times=1)
    lab.wait_for(f"{name}: eve.json to go on", lambda: len(d.lines()) > lines)
    mend()
    drained(d, 90)
    CASES.check(f"{name}: over, without a restart", "takes batches again" in d.messages(), d.messages())


def troubles(r, d):
    def write(path, text):
        with open(path, "w", encoding="ascii") as f:
            f.write(text)

    with open(r.password, encoding="ascii") as f:
        right = f.read()
    said_once(r, d, "a wrong password", "wrong user or password", lambda: write(r.password, "nonsense\n"), lambda: write(r.password, right))
    said_once(r, d, "a table that is not there", "wrong schema", lambda: r.c.ask("RENAME TABLE egret.flow_1 TO egret.away"),
              lambda: r.c.ask("RENAME TABLE egret.away TO egret.flow_1"))
    said_once(r, d, "another server", "is not ClickHouse", lambda: r.mode("html"), lambda: r.mode("pass"), restart=False)
    said_once(r, d, "a server of long ago", "wrong version: ClickHouse 1.1.54378", lambda: r.mode("old"), lambda: r.mode("pass"), restart=False)
    equals("after all troubles", r.c, ended(d))


def heard_of_fleet(d, machines):
    """Its sender asks when it starts, and then once an hour."""
    os.kill(status(d)["pid"], 9)

    def heard():
        said = json.loads(d.egret("status", "--json").stdout)
        return said["detect"].get("fleet", {}).get("hosts") == machines and said

    return lab.wait_for(f"what {machines} machines contact to be known here", heard, 60)


def prevalence(r, d):
    """What others contact comes back, weighs here, and is a problem to nobody when it cannot."""
    CASES.check("nobody has summed up the fleet: no problem", not status(d).get("fleet_problem"), status(d))
    CASES.equal("the fleet is summed up", clickhouse_rig.fleet(r.c, 40, "everybody.example"), "1 domains that 2 or more of 41 machines contact\n")
    said = heard_of_fleet(d, 41)
    CASES.equal("it is known here, and used", [said["detect"]["fleet"][x] for x in ("domains", "least", "days", "used")], [1, 2, 7, True])
    CASES.check("status tells it in words", "41 machines say what is rare: 1 domains that 2 or more of them contact" in d.egret("status").stdout)
    feed = [f for f in said["feeds"] if f["kind"] == "fleet"]
    CASES.check("and as a feed, with its age", len(feed) == 1 and feed[0]["entries"] == 1 and feed[0]["age_s"] < 300 and not feed[0]["expired"], feed)
    r.c.ask("RENAME TABLE egret.prevalence TO egret.away")
    os.kill(status(d)["pid"], 9)
    lab.wait_for("the loss to be told", lambda: "wrong schema" in status(d).get("fleet_problem", ""), 60)
    lines = len(d.lines())
    traffic(r.n, times=1)
    lab.wait_for("eve.json to go on", lambda: len(d.lines()) > lines)
    drained(d)
    CASES.check("batches go on without it, and what was known stays", not status(d).get("send_problem")
                and json.loads(d.egret("status", "--json").stdout)["detect"]["fleet"]["used"], status(d))
    r.c.ask("RENAME TABLE egret.away TO egret.prevalence")
    CASES.check("the log says it once", d.messages().count("nothing is heard of the fleet") == 1, d.messages())


def tls(r):
    """Verified by default."""
    r.c.ask("CREATE DATABASE other")
    https = f"https://127.0.0.1:{PORT + 300}"
    d = r.daemon(url=https)
    traffic(r.n, times=1)
    lab.wait_for("the certificate to be refused", lambda: "certificate" in status(d).get("send_problem", ""), 30)
    CASES.equal("a server that nobody vouches for gets nothing", status(d)["sent_rows"], 0)
    d.stop()
    d = r.daemon(url=https, more=f'ca "{r.cert}"')
    traffic(r.n, times=1)
    r.n.wait_quiet()
    CASES.check("with its CA it does", drained(d)["sent_rows"] > 0)
    d.stop()


def unpack(body):
    """Blocks of ClickHouse, zstd each: store/spool_pack.h."""
    rows = b""
    while body:
        packed, n = struct.unpack_from("<II", body, 17)
        rows += subprocess.run(["zstd", "-d", "-c"], input=body[25:16 + packed], capture_output=True, check=True).stdout
        body = body[16 + packed:]
    return rows


def today(r, d):
    """The bytes that 18.16 took, read by today's ClickHouse into its own schema."""
    folder = os.environ.get("EGRET_CHDB")
    if not folder or not os.path.isdir(os.path.join(folder, "node_modules", "chdb")):
        CASES.skip("today's ClickHouse takes the same bytes", "EGRET_CHDB names no folder with npm's chdb (clickhouse_schema.py)")
        return
    ask, statements = clickhouse_rig.chdb(folder, r.n.tmp)
    sql, rows = list(statements), 0
    for name in sorted(os.listdir(spool(d, "sent"))):
        with open(spool(d, "sent", name), "rb") as f:
            head, body = f.read().split(b"\n", 1)
        path = os.path.join(r.n.tmp, name + ".bin")
        with open(path, "wb") as f:
            f.write(unpack(body))
        rows += int(name.rsplit("-", 1)[1])
        sql.append(head.decode().replace("INTO ", "INTO egret.", 1).replace(" FORMAT RowBinary", f" FROM INFILE '{path}' FORMAT RowBinary"))
    look = "SELECT sum(up_bytes), sum(down_bytes), count(), max(length(args)), groupUniqArray(app) FROM (SELECT * FROM egret.flow ORDER BY app)"
    total = " + ".join(f"(SELECT count() FROM egret.{t})" for t in ("flow", "name", "verdict", "finding", "host"))
    CASES.equal(f"today's ClickHouse takes the same {rows} rows", ask(*sql, "SELECT " + total).strip(), str(rows))
    CASES.check("and reads the same numbers and texts", ask(look).split("\t")[2] != "0", ask(look))


def main():
    clickhouse_rig.need(CASES)
    n = lab.Lab("clk")
    r = None
    try:
        n.dnsmasq()
        for port in (7003, REFUSED):
            n.echo(port)
        n.echo(7003, udp=True)
        n.sink(SHELL)
        r = Rig(n)
        d = everything(r)
        deaf_and_cut(r, d)
        killed(r, d)
        sent_again(r, d)
        troubles(r, d)
        today(r, d)
        prevalence(r, d)
        d.stop()
        tls(r)
    except (RuntimeError, TimeoutError, subprocess.SubprocessError, OSError, KeyError) as e:
        CASES.check("clickhouse", False, repr(e))
    finally:
        if r:
            r.c.close()
        n.close()
    return CASES.end()


if __name__ == "__main__":
    sys.exit(main())
