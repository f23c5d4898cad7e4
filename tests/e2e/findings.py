#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What becomes of a finding: where it is told, that it survives restarts, sudden death and a damaged file, that the user can call it
ordinary, and that a `response` of the policy refuses the peer."""
import os
import re
import signal
import socket
import sys
import threading
import time

import lab
from lab import S4

CASES = lab.golden.Cases()


def attack(n, port):
    """A shell by socat: found at once, whatever the day."""
    return n.start("socat", f"TCP:{S4}:{port}", "EXEC:sh", ns=n.client, watched=True)


def finding(d, port, seconds=5):
    """The record of the finding about that port."""
    try:
        return lab.wait_for("the finding", lambda: next((r for r in d.findings() if r.get("dest_port") == port), None), seconds)
    except TimeoutError:
        return None


class Listener:
    """Takes what comes: datagrams of a UNIX socket, UDP or one TCP connection after the other, in a network namespace."""

    def __init__(self, kind, to, ns=None):
        self.got, self.text = b"", ""
        ready = threading.Event()

        def serve():
            if ns:
                with open(f"/run/netns/{ns}", encoding="ascii") as f:
                    lab_setns(f.fileno())
            s = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET,
                              socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
            if kind != "unix":
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(to)
            if kind == "tcp":
                s.listen(4)
            ready.set()
            while True:
                if kind == "tcp":
                    c = s.accept()[0]
                    while data := c.recv(65536):
                        self.got += data
                else:
                    self.got += s.recv(65536) + b"\n"

        threading.Thread(target=serve, daemon=True).start()
        if not ready.wait(5):
            raise TimeoutError(f"cannot listen at {to}")

    def wait(self, what):
        try:
            return lab.wait_for(what, lambda: what.encode() in self.got and self.got.decode(), 5)
        except TimeoutError:
            return None


def lab_setns(fd):
    import ctypes
    if ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000):
        raise OSError(ctypes.get_errno(), "setns")


def alerts(n):
    """Three logs and eve.json, all of them at once. The daemon lives outside the namespaces: so do the logs, on the loopback."""
    path = os.path.join(n.tmp, "syslog")
    unix = Listener("unix", path)
    ports = []
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as s:
            s.bind(("127.0.0.1", 0))
            ports.append(s.getsockname()[1])
    udp, tcp = Listener("udp", ("127.0.0.1", ports[0])), Listener("tcp", ("127.0.0.1", ports[1]))
    d = n.daemon(conf=f'alerts syslog "{path}"\nalerts cef "udp://127.0.0.1:{ports[0]}"\nalerts cef "tcp://127.0.0.1:{ports[1]}" from high\n')
    attack(n, 4444)
    r = finding(d, 4444)
    f = r["egret"]["finding"] if r else {}
    CASES.check("a finding", f.get("level") == "high" and f.get("class") == "c2", r)
    text = unix.wait("socat")
    CASES.check("syslog to a local socket: a frame of RFC 5424 with the finding", text and
                re.match(r"<\d+>1 \d{4}-\d\d-\d\dT", text) and f.get("id", "?") in text, text)
    for name, log in (("UDP", udp), ("TCP", tcp)):
        text = log.wait("CEF:0|")
        CASES.check(f"CEF over {name}", text and re.search(r"CEF:0\|[^|]*\|[^|]*\|[^|]*\|[^|]*\|[^|]*\|\d+\|", text) and
                    S4 in text and "4444" in text, text)
        if name == "TCP" and text:
            size = re.match(r"(\d+) <", text)
            CASES.check("CEF over TCP: counted frames (RFC 6587)", size and len(log.got) >= int(size.group(1)), text)
    rec = d.wait_record("the alert in eve.json", lambda r: r["event_type"] == "alert")
    CASES.check("eve.json: an alert record with the finding", rec["egret"]["finding"]["id"] == f.get("id") and
                rec["egret"]["finding"]["state"] == "open" and rec["dest_port"] == 4444, rec)
    n.empty_processes()
    return d, f.get("id", "-")


def restarts(n, d, known):
    d.stop()
    d.start()
    r = finding(d, 4444)
    CASES.check("a restart keeps the finding", r and r["egret"]["finding"]["id"] == known, r)
    attack(n, 4445)
    CASES.check("another one", finding(d, 4445))
    n.empty_processes()
    d.child.send_signal(signal.SIGKILL)
    d.child.wait()
    d.start()
    CASES.check("sudden death keeps what was written", finding(d, 4444))
    d.stop()
    path = os.path.join(d.run_dir, "state", "detect")
    with open(path, "r+b") as f:
        f.seek(os.path.getsize(path) // 2)
        f.write(b"\xff" * 64)
    d.start()
    CASES.check("a damaged file is set aside and said", os.path.exists(path + ".damaged") and "set aside" in d.messages(), d.messages())
    CASES.check("and nothing of it is believed", not d.findings())


def acknowledged(n, d):
    attack(n, 4446)
    r = finding(d, 4446)
    n.empty_processes()
    if not CASES.check("a finding to acknowledge", r):
        return
    f = r["egret"]["finding"]
    done = d.egret("ack", f["id"], "--benign", "--note", "our own", "--for", "1h")
    CASES.equal("egret ack", done.returncode, 0)
    listed = d.egret("ack", "--list").stdout
    CASES.check("egret ack --list", "our own" in listed and f["peer"] in listed, listed)
    CASES.check("it is shown as acknowledged", lab.wait_for("ack", lambda: finding(d, 4446)["egret"]["finding"].get("acked")))
    before = sum(x["event_type"] == "alert" for x in d.records())
    attack(n, 4446)
    time.sleep(1.5)
    n.empty_processes()
    CASES.equal("and told no more", sum(x["event_type"] == "alert" for x in d.records()), before)
    d.stop()
    d.start()
    CASES.check("a restart keeps the exception", "our own" in d.egret("ack", "--list").stdout)
    CASES.equal("egret ack --remove", d.egret("ack", "--remove", "1").returncode, 0)
    CASES.check("then there are none", "our own" not in d.egret("ack", "--list").stdout)
    d.stop()


CONNECT = f"import socket,sys\ns=socket.create_connection(('{S4}',int(sys.argv[1])),3); s.send(b'x'); print('through', flush=True)"


def response(n):
    policy = os.path.join(n.tmp, "policy.egret")
    with open(policy, "w", encoding="ascii") as f:
        f.write("response stop = on finding c2 severity >= high deny destination for 1h\ndefault allow\n")
    d = n.daemon(conf=f'policy "{policy}" enforce\n')
    CASES.check("before: through", "through" in n.python(CONNECT, 7003, check=False))
    begin = time.monotonic()
    attack(n, 4447)
    r = finding(d, 4447)
    CASES.check("a finding under a policy", r)
    try:
        shown = lab.wait_for("the rule", lambda: (lambda t: S4 in t and t)(d.egret("policy", "show").stdout), 5)
    except TimeoutError:
        shown = None
    took = time.monotonic() - begin
    CASES.check("policy show: the dated rule", shown and re.search(rf"deny to {re.escape(S4)}", shown) and
                "finding" in shown, shown or d.egret("policy", "show").stdout, d.messages())
    text = n.python(CONNECT, 7003, check=False)
    CASES.check(f"after: the peer is refused ({took:.1f} s from the attack's start)", "through" not in text, text)
    rec = [x for x in d.records() if x["event_type"] == "alert" and "finding" in x.get("egret", {})]
    CASES.check("the record says what was put in force", rec and S4 in rec[0]["egret"]["finding"].get("response", ""), rec)
    n.empty_processes()
    d.stop()
    lab.golden.check_schema(CASES, "records with a response", d.lines())


def main():
    lab.need(CASES, "socat")
    n = lab.Lab("fin")
    try:
        n.echo(7003)
        for port in (4444, 4445, 4446, 4447):
            n.small_server("c2", port)
        d, known = alerts(n)
        restarts(n, d, known)
        acknowledged(n, d)
        lab.golden.check_schema(CASES, "records of findings", d.lines())
        response(n)
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
