# SPDX-License-Identifier: Apache-2.0
"""A ClickHouse cluster of packaging/clickhouse in a network namespace of its own (loopback alone), gone at the end."""
import atexit
import json
import os
import signal
import subprocess
import tempfile
from importlib.machinery import SourceFileLoader

import lab

PACKAGING = os.path.join(lab.SOURCE, "packaging", "clickhouse")
DEBIAN = ("/usr/sbin/clickhouse-server", "/usr/share/java/zookeeper.jar", "/usr/bin/java")
PORT = 18100


def need(cases):
    """Exit status 77 without root or Debian's clickhouse-server and libzookeeper-java (group `fleet` of tools/packages)."""
    lab.need(cases, "curl", "nsenter")
    gone = [x for x in DEBIAN if not os.path.exists(x)]
    if gone:
        cases.skip("clickhouse", f"no {gone[0]} here: ./dev test --all installs clickhouse-server and libzookeeper-java")
        raise SystemExit(cases.end())


def load_tool():
    return SourceFileLoader("egret_clickhouse", os.path.join(PACKAGING, "egret-clickhouse")).load_module()


def chdb(folder, tmp):
    """(a function that asks today's ClickHouse with its data below `tmp`, the statements of the schema for it)"""
    tool = load_tool()

    def ask(*sql):
        script = ('import { createRequire } from "module"; const { Session } = createRequire(process.argv[1] + "/")("chdb");'
                  'const s = new Session(process.argv[2]); for (const x of JSON.parse(process.argv[3])) '
                  'process.stdout.write(s.query(x, "TabSeparated") ?? "");')
        done = subprocess.run(["node", "--input-type=module", "-e", script, folder, os.path.join(tmp, "chdb"), json.dumps(sql)],
                              capture_output=True, text=True, timeout=120)
        return done.stdout if not done.returncode else done.stdout + done.stderr[-800:]

    ask.version = ask("SELECT version()").strip()
    ask.tool = tool
    return ask, tool.statements("egret", None, tuple(map(int, ask.version.split(".")[:2])))


def fleet(c, machines, domain):
    """That many other machines contact a domain, on six days; and what the fleet contacts is summed up."""
    for day in range(6):
        said = c.ask("INSERT INTO egret.flow_1 (ts, host, domain, up_packets) SELECT toDateTime(now()) - " + f"{day * 86400}, "
              f"concat('m', toString(number)), '{domain}', 1 FROM system.numbers LIMIT {machines}")
        if said:
            raise RuntimeError(said)
    return c.tool("prevalence")


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


class Cluster:
    """`ns`: a namespace that is there; else one is made."""

    def __init__(self, shards, replicas, ns=None, tls=None):
        self.dir = tempfile.mkdtemp(prefix="egch.")
        self.made, self.ns = not ns, ns or f"egch{os.getpid()}"
        self.options = ["--shards", shards, "--replicas", replicas, "--port", PORT, *(["--tls", *tls] if tls else [])]
        atexit.register(self.close)
        if self.made:
            lab.must("ip", "netns", "add", self.ns)
            lab.must("ip", "-n", self.ns, "link", "set", "lo", "up")
        self.up()

    def run(self, tool, *argv, check=True):
        done = subprocess.run(["nice", "-n", "15", "nsenter", f"--net=/run/netns/{self.ns}", os.path.join(PACKAGING, tool),
                               *map(str, argv)],
                              capture_output=True, text=True, timeout=200)
        if check and done.returncode:
            raise RuntimeError(f"{tool} {argv}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def up(self):
        self.run("local-cluster", "up", self.dir, *self.options)

    def tool(self, *argv, node=0, cluster=True, check=True):
        return self.run("egret-clickhouse", "--url", f"http://127.0.0.1:{PORT + node}", *(["--cluster", "egret"] if cluster else []),
                        *argv, check=check)

    def ask(self, sql, node=0):
        """The answer as text, tab-separated; an error's text is what ClickHouse said."""
        done = subprocess.run(["nsenter", f"--net=/run/netns/{self.ns}", "curl", "-sS", "--max-time", "60", "--data-binary", "@-",
                               f"http://127.0.0.1:{PORT + node}/?insert_distributed_sync=1"], input=sql.encode(), capture_output=True)
        return (done.stdout + done.stderr).decode(errors="replace").rstrip("\n")

    def pid(self, name):
        with open(os.path.join(self.dir, "run", name + ".pid"), encoding="ascii") as f:
            return int(f.read())

    def kill(self, name):
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        lab.wait_for(f"{name} to be gone", lambda: is_gone(pid))

    def close(self):
        atexit.unregister(self.close)
        self.run("local-cluster", "down", self.dir, check=False)
        if self.made:
            subprocess.run(["ip", "netns", "del", self.ns], capture_output=True)
        subprocess.run(["rm", "-rf", self.dir])
