#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""egretd's life: start with flows already open, rotation, clients, restart, sudden death, wrong configurations."""
import glob
import json
import os
import signal
import subprocess
import sys

import lab
from lab import EGRETD, S4, ZONE

CASES = lab.golden.Cases()


def bpf_programs():
    """Ids of programs attached to any cgroup below the mount."""
    out = subprocess.run(["bpftool", "-j", "cgroup", "tree", lab.cgroup2_mount()], capture_output=True, text=True)
    try:
        return {(e["cgroup"], p["id"]) for e in json.loads(out.stdout) for p in e["programs"]}
    except ValueError:
        return set()


def left_behind(n, d, name):
    """Nothing of a dead daemon is left: no attached program of the lab's cgroup, no pin."""
    CASES.check(f"{name}: no program stays attached", lab.wait_for(
        "programs to be detached", lambda: not [p for p in bpf_programs() if n.name in p[0]]))
    CASES.equal(f"{name}: no pin", [f for f in glob.glob(f"/sys/fs/bpf/egret/*/{d.pin}/*")], [])


def open_before(n):
    """A connection and a UDP socket from before the start: seen, attributed, marked."""
    held = n.start("/usr/bin/python3", "-uc",
                   "import socket,sys\n"
                   f"s=socket.socket(); s.bind(('',44001)); s.connect(('{S4}',7003)); s.send(b'before'); s.recv(99)\n"
                   f"u=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); u.bind(('',44002)); u.connect(('{S4}',7003))\n"
                   "u.send(b'before'); u.recv(99)\nprint('open')\nsys.stdin.readline()\n"
                   "s.send(b'after'); s.recv(99); u.send(b'after'); u.recv(99)", ns=n.client, watched=True,
                   ready=lambda c: "open" in open(c.log).read(), stdin=True)
    d = n.daemon()
    wire = n.capture(name="before.pcap")
    n.say(held, "go")
    held.wait(10)
    flows = wire.stop()
    d.stop()
    records = lab.last_flows(d.records())
    tcp = [r for r in records if r.get("src_port") == 44001]
    CASES.check("TCP from before: one flow, mid_stream, attributed", len(tcp) == 1 and tcp[0]["egret"]["mid_stream"] and
                tcp[0]["process"]["executable"] == os.path.realpath("/usr/bin/python3"), tcp)
    udp = [r for r in records if r.get("src_port") == 44002]
    CASES.check("connected UDP from before: attributed", all(
        r["process"]["executable"] == os.path.realpath("/usr/bin/python3") for r in udp), udp)
    if tcp:
        want = next((f for (p, ends), f in flows.items() if p == 6 and any(e[1] == 44001 for e in ends)), None)
        sides = (0, 1) if want and want.src[1] == 44001 else (1, 0)
        CASES.check("TCP from before: the packets since then", want and
                    [tcp[0]["flow"]["pkts_toserver"], tcp[0]["flow"]["pkts_toclient"]] ==
                    [want.packets[i] for i in sides], tcp[0]["flow"], want and want.packets)
    lab.golden.check_schema(CASES, "open before", d.lines())


def rotation(n):
    """logrotate's way: move the file, SIGHUP. Every flow is in one of the files, once, and every line is whole."""
    d = n.daemon()
    moved = []
    for i in range(4):
        n.run("bash", "-c", f"for i in $(seq 25); do (exec 3<>/dev/tcp/{S4}/7001; echo x >&3); done")
        if i < 3:
            moved.append(f"{d.eve}.{i}")
            inode = os.stat(d.eve).st_ino
            os.rename(d.eve, moved[-1])
            d.child.send_signal(signal.SIGHUP)
            lab.wait_for("eve.json anew", lambda: os.path.exists(d.eve) and os.stat(d.eve).st_ino != inode)
    d.stop()
    records = [r for path in (*moved, d.eve) for r in d.records(path)]
    ends = [r for r in records if r["event_type"] == "flow" and "reason" in r["flow"] and r["dest_port"] == 7001]
    CASES.equal("three rotations under traffic: every flow once", [len(ends), len({r["flow_id"] for r in ends})],
                [100, 100])


def clients(n):
    """The control socket: status, flows, top; two daemons do not disturb each other."""
    d = n.daemon()
    held = n.start("/usr/bin/python3", "-uc",
                   f"import socket,sys\ns=socket.create_connection(('{S4}',7003)); s.send(b'x'*1000); s.recv(9999)\n"
                   "print('open')\nsys.stdin.readline()", ns=n.client, watched=True, stdin=True,
                   ready=lambda c: "open" in open(c.log).read())
    lab.wait_for("the flow to be known", lambda: "7003" in d.egret("flows").stdout)
    done = d.egret("flows", "--json", "port:7003")
    flows = [json.loads(x) for x in done.stdout.splitlines()]
    flows = [r for r in flows if r.get("event_type") == "flow"]
    CASES.check("egret flows --json port:7003", done.returncode == 0 and len(flows) == 1 and
                flows[0]["dest_port"] == 7003 and "python3" in flows[0]["process"]["executable"], done)
    CASES.equal("egret flows with a filter nothing matches", "7003" in d.egret("flows", "port:1").stdout, False)
    CASES.equal("egret flows, bad filter", d.egret("flows", "port:xyz").returncode, 2)
    status = d.egret("status")
    CASES.check("egret status", status.returncode == 0 and "flows" in status.stdout, status)
    status = d.egret("status", "--json")
    CASES.check("egret status --json", status.returncode == 0 and json.loads(status.stdout)["flows_now"] >= 1, status)
    top = d.egret("top", "--once")
    CASES.check("egret top --once", top.returncode == 0 and "python3" in top.stdout, top)
    CASES.check("no daemon there: says so", subprocess.run(
        [lab.EGRET, "--run", n.tmp, "status"], capture_output=True, text=True).returncode == 1)
    CASES.equal("the socket is not for everybody", subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", lab.EGRET, "--run", d.run_dir, "status"],
        capture_output=True).returncode, 1)
    n.say(held, "end")
    held.wait(10)
    d.stop()
    CASES.check("the socket goes with the daemon", not os.path.exists(os.path.join(d.run_dir, "egret.sock")))
    left_behind(n, d, "after SIGTERM")


def hostile_clients(n):
    """Requests nobody should send; the daemon answers with an error or hangs up, and lives."""
    import socket
    d = n.daemon()
    path = os.path.join(d.run_dir, "egret.sock")
    for what in (b"\n", b"not json\n", b"{}\n", b'{"ask":"nothing"}\n', b'{"ask":"top","by":"x"}\n',
                 b'{"ask":"flows","limit":-1}\n', b"[" * 8000 + b"\n", b"x" * 100000, b'{"ask":"flows","filter":"\xff"}\n',
                 b'{"ask":"events","types":["nothing"]}\n', b"\0" * 4096 + b"\n"):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(5)
        s.connect(path)
        try:
            s.sendall(what)
            s.shutdown(socket.SHUT_WR)
            s.recv(4096)
        except (BrokenPipeError, ConnectionResetError):
            pass
        except TimeoutError:
            CASES.check(f"hostile request {what[:30]!r}: no answer", False)
        s.close()
    many = []
    for _ in range(100):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(5)
        try:
            s.connect(path)
        except OSError:             # more than 64 are not let in
            pass
        many.append(s)
    for s in many:
        s.close()
    lab.wait_for("the daemon to answer again", lambda: d.egret("status").returncode == 0)
    CASES.equal("after hostile clients: ends well", d.stop(), 0)


def restart_and_death(n):
    d = n.daemon()
    n.run("bash", "-c", f"exec 3<>/dev/tcp/{S4}/7001; echo x >&3")
    d.stop()
    d.start()
    n.run("bash", "-c", f"exec 3<>/dev/tcp/{S4}/7001; echo x >&3")
    lab.wait_for("the second flow", lambda: len(lab.last_flows(d.records())) == 2)
    d.child.send_signal(signal.SIGKILL)
    d.child.wait()
    left_behind(n, d, "after kill -9")
    CASES.equal("kill -9: what was written is whole", len(lab.last_flows(d.records())), 2)
    d.start()                                       # over the socket file of the dead one
    n.run("bash", "-c", f"exec 3<>/dev/tcp/{S4}/7001; echo x >&3")
    CASES.equal("starts again after kill -9, and ends well", d.stop(), 0)
    CASES.equal("a restart appends to eve.json", len(lab.last_flows(d.records())), 3)


def configurations(n):
    def test(text):
        path = os.path.join(n.tmp, "test.conf")
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        return subprocess.run([EGRETD, "-T", "-c", path], capture_output=True, text=True)

    CASES.equal("an empty file is a configuration", test("").returncode, 0)
    CASES.equal("comments", test("# nothing\n\n   # more\n").returncode, 0)
    for bad in ("wach host\n", 'cgroup "/"  "/x"\n', 'run "unclosed\n', "watch everything\n", "eve\n"):
        done = test(bad)
        CASES.check(f"refused with the line: {bad.strip()}", done.returncode == 1 and "1" in done.stderr and
                    "test.conf" in done.stderr, done)
    CASES.equal("no such file", subprocess.run([EGRETD, "-T", "-c", "/nonexistent"],
                                               capture_output=True).returncode, 1)
    done = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", EGRETD, "--foreground", "-c", "/dev/null"],
                          capture_output=True, text=True, timeout=20)
    CASES.check("without rights: ends and says why", done.returncode == 1 and done.stderr, done)


def main():
    lab.need(CASES, "bpftool", "setpriv")
    n = lab.Lab("dae")
    try:
        n.sink(7001)
        n.echo(7003)
        n.echo(7003, udp=True)
        for scenario in (configurations, open_before, rotation, clients, hostile_clients, restart_and_death):
            try:
                scenario(n)
            except (RuntimeError, TimeoutError, subprocess.SubprocessError, OSError) as e:
                CASES.check(scenario.__name__, False, repr(e))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
