#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""./dev bench fleet --peers [RECORDS]: the same flows to one ClickHouse as egret ships them, and as JSON by curl; and to nfcapd."""
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

import fleet_rig
import results
from fleet_rig import HISTORY, RIG_PORT, SIM, cpu_of

JSON_ROWS = 30_000
FLAT = ("timestamp String, flow_id UInt64, event_type String, src_ip String, src_port UInt16, dest_ip String, dest_port UInt16, "
        "app_proto String, flow_pkts_toserver UInt64, flow_pkts_toclient UInt64, flow_bytes_toserver UInt64, flow_bytes_toclient UInt64, "
        "flow_start String, flow_end String, process_pid UInt32, process_executable String, user_name String, egret_name String, "
        "egret_registered_domain String, egret_ja4 String")
V5_RECORD, V5_HEAD, V5_RECORDS, FRAME = 48, 24, 30, 42     # and Ethernet, IP and UDP's heads a packet


def children():
    u = resource.getrusage(resource.RUSAGE_CHILDREN)
    return u.ru_utime + u.ru_stime


class Measure:
    """Seconds, and CPU of our children and of the server, of what stands in the with."""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        self.began, self.ours, self.theirs = time.monotonic(), children(), cpu_of(self.pid)
        return self

    def __exit__(self, *_):
        self.seconds, self.ours, self.theirs = time.monotonic() - self.began, children() - self.ours, cpu_of(self.pid) - self.theirs


def on_disk(cluster, table):
    cluster.ask(f"OPTIMIZE TABLE egret.{table} FINAL")
    size, rows = cluster.ask(f"SELECT sum(bytes), sum(rows) FROM system.parts WHERE active AND database = 'egret' AND table = '{table}'").split("\t")
    return int(size) / int(rows)


def row(title, n, wire, client, m, disk):
    return [title, f"{wire:.0f}", f"{disk:.0f}", f"{n / m.seconds:,.0f}", f"{1e6 * client / n:.1f} µs", f"{1e6 * m.theirs / n:.1f} µs"]


def ours(cluster, n):
    pid = cluster.pid("s1r1")
    with Measure(pid) as m:
        sent, how = fleet_rig.simulate(cluster, "--hosts", 1, "--fill", n, "--days", 1, workers=1)
    made = sum(s[0] for s in sent.values())
    return row("egret (70 columns, RowBinary, zstd blocks)", made, how["body_bytes"] / made, how["cpu"], m, on_disk(cluster, "flow_1_local"))


def flatten(value, prefix=""):
    for k, v in value.items():
        if isinstance(v, dict):
            yield from flatten(v, prefix + k + "_")
        else:
            yield prefix + k, v


def chunks(folder, n):
    """(files of JSON_ROWS lines, CPU of making the nested lines); flattening is not counted: whoever ships JSON does it somewhere."""
    before = children()
    lines = subprocess.run([HISTORY, "json", str(n), "1"], check=True, capture_output=True, text=True).stdout.splitlines()
    spent, files = children() - before, []
    for at in range(0, len(lines), JSON_ROWS):
        path = os.path.join(folder, f"{at}.json")
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(json.dumps(dict(flatten(json.loads(x))), separators=(",", ":")) + "\n" for x in lines[at:at + JSON_ROWS])
        files.append(path)
    return files, len(lines), spent


def as_json(cluster, files, n, made, packed):
    table = "eve_gzip" if packed else "eve_plain"
    cluster.ask(f"CREATE TABLE egret.{table} ({FLAT}, ts DateTime DEFAULT toDateTime(substring(timestamp, 1, 19))) ENGINE = MergeTree "
                "PARTITION BY toYYYYMMDD(ts) ORDER BY (toStartOfHour(ts), egret_name, dest_ip, ts)")
    columns = ", ".join(x.split()[0] for x in FLAT.split(", "))
    url = f"http://127.0.0.1:{RIG_PORT}/?query=INSERT%20INTO%20egret.{table}%20({columns.replace(' ', '%20')})%20FORMAT%20JSONEachRow"
    with Measure(cluster.pid("s1r1")) as m:
        for path in files:
            send = ["nsenter", f"--net=/run/netns/{cluster.ns}", "curl", "-sS", "--fail", "--data-binary", "@-", url]
            if packed:
                with subprocess.Popen(["gzip", "-1", "-c", path], stdout=subprocess.PIPE) as z:
                    subprocess.run(send + ["-H", "Content-Encoding: gzip"], stdin=z.stdout, check=True)
            else:
                with open(path, "rb") as f:
                    subprocess.run(send, stdin=f, check=True)
    assert cluster.ask(f"SELECT count() FROM egret.{table}") == str(n)
    wire = 0
    for path in files:
        with open(path, "rb") as f:
            text = f.read()
        wire += len(gzip.compress(text, 1)) if packed else len(text)
    title = f"JSON lines by curl{', gzip -1' if packed else ''} (20 columns)"
    return row(title, n, wire / n, made + m.ours, m, on_disk(cluster, table))


def as_netflow(folder, n):
    """NetFlow 5 to nfcapd, two records a flow: on loopback, no ClickHouse."""
    port = 29995
    collector = subprocess.Popen(["nfcapd", "-w", folder, "-p", str(port), "-b", "127.0.0.1", "-t", "86400", "-B", "8000000", "-z"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1)
    with Measure(collector.pid) as m:
        sent = int(subprocess.run([HISTORY, "netflow", str(port), str(n), "1", "0"], check=True, capture_output=True, text=True).stdout)
        time.sleep(1)
    collector.terminate()
    collector.wait(30)
    wire = 2 * (V5_RECORD + (V5_HEAD + FRAME) / V5_RECORDS)
    disk = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder)) / (sent / 2)
    return row("NetFlow 5 to nfcapd -z (no name, program, user)", sent / 2, wire, m.ours, m, disk)


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
    results.need_root()
    cluster = fleet_rig.cluster(1, 1)
    with tempfile.TemporaryDirectory(prefix="egret-peers.") as folder:
        try:
            cluster.tool("migrate")
            rows = [ours(cluster, n)]
            files, lines, made = chunks(folder, n)
            rows += [as_json(cluster, files, lines, made, packed) for packed in (False, True)]
        finally:
            cluster.close()
        flows = os.path.join(folder, "nf")
        os.mkdir(flows)
        rows.append(as_netflow(flows, n))
    text = f"""{n:,} flows of bench/history_rows.h to one ClickHouse (one shard, one replica, with ZooKeeper), JSON in posts of {JSON_ROWS:,} lines.

{results.table(("way", "bytes a record on the wire", "on disk, merged", "records/s", "CPU of the sender", "CPU of the server"), rows)}

CPU of the sender includes making the records. JSON of every column that egret ships would be three times as large. ClickHouse 18.16 has no nested
JSON: flattening eve.json was done beforehand and is not counted. Debian 12 has neither Vector nor Fluent Bit nor rsyslog's module for ClickHouse;
what they send is one of the two rows of JSON. nfcapd: two records a flow, pauses of the exporter included in its rate."""
    results.write("fleet-peers", "Fleets: beside how it is done now", text + "\n\n" + results.versions("clickhouse-server", "curl", "nfdump"),
                  "./dev bench fleet --peers" + "".join(" " + a for a in sys.argv[1:]))


main()
