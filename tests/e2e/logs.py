#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Alerts at real logs: rsyslog (Debian) over a local socket, UDP, TCP and TLS, and systemd-journald, each in a place of its own.
What they parsed is compared with eve.json of the same run; they die and come back; a server that is not who it should be gets nothing."""
import json
import os
import re
import shutil
import socket
import subprocess
import sys

import lab
import receivers

CASES = lab.golden.Cases()
# What has a meaning in a frame, a header or a field: in the name of a program, and in the text of a rule.
HOSTILE = 'a b"]\\=|c\u00e4'
POLICY = f"allow to {lab.S4} port 7003 alert high \"a ]=|\\ b\u00e4\"\ndefault allow\n"


def certificate(n, name, issuer=None, *ext):
    """name.key and name.crt in the lab's folder, signed by itself or by `issuer`."""
    key, crt = (os.path.join(n.tmp, f"{name}.{x}") for x in ("key", "crt"))
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
            "-out", crt, "-days", "2", "-subj", f"/CN={name}", *(x for e in ext for x in ("-addext", e))]
    if issuer:
        argv += ["-CA", os.path.join(n.tmp, issuer + ".crt"), "-CAkey", os.path.join(n.tmp, issuer + ".key")]
    lab.must(*argv)
    return key, crt


class Rsyslog:
    """One rsyslogd with an input of each kind; what it parsed of each, as JSON lines in a file of its own."""

    def __init__(self, n):
        self.n, self.starts = n, 0
        self.folder = os.path.join(n.tmp, "rsyslog")
        os.mkdir(self.folder)
        self.udp = receivers.free_port()
        self.tcp, self.tls, self.other = (receivers.free_port(socket.SOCK_STREAM) for _ in range(3))
        self.local = os.path.join(self.folder, "log")
        certificate(n, "ca")
        key, crt = certificate(n, "server", "ca", "subjectAltName=IP:127.0.0.1", "basicConstraints=CA:FALSE")
        properties = "\n".join(f'property(outname="{o}" name="{p}" format="jsonf") constant(value=", ")' for o, p in (
            ("pri", "pri"), ("host", "hostname"), ("app", "app-name"), ("pid", "procid"), ("kind", "msgid"),
            ("time", "timereported"), ("sd", "structured-data")))
        self.conf = os.path.join(self.folder, "rsyslog.conf")
        rules = "\n".join(f'ruleset(name="{x}") {{ action(type="omfile" file="{self.folder}/{x}.json" template="all") }}'
                          for x in ("local", "udp", "tcp", "tls"))
        tls = receivers.recipe_block("rsyslog.conf")
        for shown, ours in (("/etc/rsyslog/ca.pem", os.path.join(n.tmp, "ca.crt")), ("/etc/rsyslog/cert.pem", crt),
                            ("/etc/rsyslog/key.pem", key), ('port="6514"', f'address="127.0.0.1" port="{self.tls}" ruleset="tls"')):
            tls = tls.replace(shown, ours)
        with open(self.conf, "w", encoding="ascii") as f:
            f.write(f'global(workDirectory="{self.folder}" maxMessageSize="64k" net.enableDNS="off")\n'
                    'module(load="imuxsock" SysSock.Use="off")\nmodule(load="imudp")\n'
                    f'template(name="all" type="list") {{ constant(value="{{") {properties}\n'
                    'property(outname="text" name="msg" format="jsonf") constant(value="}\\n") }\n'
                    f'{rules}\n{tls}\n'
                    f'input(type="imuxsock" Socket="{self.local}" CreatePath="on" UseSpecialParser="off" ParseHostname="on"'
                    ' RateLimit.Interval="0" ruleset="local")\n'
                    f'input(type="imudp" address="127.0.0.1" port="{self.udp}" ruleset="udp")\n'
                    f'input(type="imtcp" address="127.0.0.1" port="{self.tcp}" StreamDriver.Name="ptcp" ruleset="tcp")\n')
        self.start()

    def start(self):
        self.child = receivers.start(self.n, "rsyslogd", "-n", "-f", self.conf, "-i", f"{self.folder}/pid", ready=lambda:
                                     os.path.exists(self.local) and receivers.is_bound("udp", self.udp) and
                                     receivers.is_bound("tcp", self.tcp) and receivers.is_bound("tcp", self.tls))

    def stop(self):
        self.n.stop(self.child)

    def took(self, kind):
        path = os.path.join(self.folder, f"{kind}.json")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as f:
            return [json.loads(line) for line in f if line.endswith("\n")]


class Journal:
    """systemd-journald in a mount namespace with a /run of its own; egretd is started in there, too."""

    def __init__(self, n):
        script = ("mount -t tmpfs none /run && mount -t tmpfs none /var/log && mkdir -p /run/systemd/journal /run/log/journal &&"
                  f" {{ [ -s /etc/machine-id ] || mount --bind {n.tmp}/machine-id /etc/machine-id; }} &&"
                  " exec /lib/systemd/systemd-journald")
        with open(os.path.join(n.tmp, "machine-id"), "w", encoding="ascii") as f:
            f.write(os.urandom(16).hex() + "\n")
        self.child = receivers.start(n, "unshare", "-m", "sh", "-c", script, ready=lambda: True)
        lab.wait_for("journald to listen", lambda: self.inside("test", "-S", "/run/systemd/journal/socket").returncode == 0)
        self.egretd = os.path.join(n.tmp, "egretd-there")
        with open(self.egretd, "w", encoding="ascii") as f:
            f.write(f'#!/bin/sh\nexec nsenter -m -t {self.child.pid} {lab.EGRETD} "$@"\n')
        os.chmod(self.egretd, 0o755)

    def inside(self, *argv):
        return subprocess.run(["nsenter", "-m", "-t", str(self.child.pid), *argv], capture_output=True, text=True)

    def took(self):
        out = self.inside(*receivers.recipe_command("journalctl"), "-D", "/run/log/journal", "-q").stdout
        return [json.loads(line) for line in out.splitlines()]


def attack(n, port):
    """A shell by socat: found at once, whatever the day."""
    n.start("socat", f"TCP:{lab.S4}:{port}", "EXEC:sh", ns=n.client, watched=True)


def odd_name(n):
    """A program of that name, to the port that the policy has an alert for."""
    path = os.path.join(n.tmp, HOSTILE)
    shutil.copy(shutil.which("socat"), path)
    n.run(path, "-u", "FILE:/etc/passwd", f"TCP:{lab.S4}:7003")


def alerts(d, more=lambda r: True):
    return [r for r in d.records() if r["event_type"] in ("alert", "drop") and more(r)]


def structured(sd):
    """RFC 5424 6.3: the parameters of the one element, escapes undone."""
    m = re.fullmatch(r'\[egret@32473((?: [a-z_]+="(?:[^"\\\]]|\\.)*")*)\]', sd, re.S)
    return m and {k: re.sub(r"\\(.)", r"\1", v, flags=re.S) for k, v in re.findall(r' ([a-z_]+)="((?:[^"\\\]]|\\.)*)"', m.group(1))}


def extension(cef):
    """CEF: seven fields between bars, then key=value, escapes undone."""
    m = re.fullmatch(r"CEF:0\|egret\|egretd\|(?:(?:[^|\\]|\\.)*\|){4}(.*)", cef)
    return {} if not m else {k: re.sub(r"\\(.)", r"\1", v) for k, v in re.findall(
        r"(\w+)=((?:[^=\\]|\\.)*?)(?= \w+=|\s*$)", m.group(1))}


def as_syslog(r):
    """What a frame of RFC 5424 says of this record of eve.json."""
    f = r.get("egret", {}).get("finding")
    return (f and f["id"], None if f else r["egret"]["rule"]["text"], r["dest_ip"], str(r["dest_port"]),
            r["process"]["executable"], f["explain"] if f else r["alert"]["signature"])


def parsed(x):
    p = structured(x["sd"]) or {}
    return (*(p.get(k) for k in ("id", "rule", "dest_ip", "dest_port", "program")), x["text"].lstrip(" ").removeprefix("\ufeff"))


def everywhere(n):
    """One daemon, six logs; rsyslog dies and comes back."""
    log, journal = Rsyslog(n), Journal(n)
    ca = os.path.join(n.tmp, "ca.crt")
    policy = os.path.join(n.tmp, "policy.egret")
    with open(policy, "w", encoding="utf-8") as f:
        f.write(POLICY)
    lab.EGRETD, real = journal.egretd, lab.EGRETD
    try:
        d = n.daemon(conf=f'policy "{policy}" watch\n'
                     f'alerts syslog "{log.local}" from low\nalerts syslog "udp://127.0.0.1:{log.udp}" from low\n'
                     f'alerts syslog "tcp://127.0.0.1:{log.tcp}" from low\nalerts cef "tls://127.0.0.1:{log.tls}" ca "{ca}" from low\n'
                     "alerts journal from low\n")
    finally:
        lab.EGRETD = real
    attack(n, 4444)
    odd_name(n)
    lab.wait_for("a finding and an alert of a rule", lambda: {r["dest_port"] for r in alerts(d)} == {4444, 7003})
    kinds = ("local", "udp", "tcp", "tls")
    for kind in kinds:
        try:
            lab.wait_for(kind, lambda: len(log.took(kind)) >= len(alerts(d)), 10)
        except TimeoutError as e:
            CASES.check(f"rsyslog: {kind}", False, e, d.messages(), receivers.messages(log.child))
    lab.wait_for("the journal", lambda: len(journal.took()) >= len(alerts(d)), 10)
    first = len(alerts(d))

    # All streams are cut, and nobody is there for a while: what happens meanwhile waits.
    log.stop()
    attack(n, 4445)
    lab.wait_for("another finding", lambda: alerts(d, lambda r: r["dest_port"] == 4445))
    lab.wait_for("it to be missed", lambda: d.messages().count("cannot be sent to") >= 3)
    log.start()
    lab.wait_for("TCP and TLS to be taken up again", lambda: all(
        len(log.took(kind)) >= len(alerts(d)) for kind in ("local", "tcp", "tls")), 20)
    attack(n, 4446)
    lab.wait_for("a third finding", lambda: alerts(d, lambda r: r["dest_port"] == 4446))
    lab.wait_for("all of them", lambda: all(any("4446" in x["sd"] + x["text"] for x in log.took(k)) for k in kinds), 10)
    n.empty_processes()
    CASES.equal("ends well", d.stop(), 0)
    lab.wait_for("the end of findings in the journal", lambda: len(journal.took()) >= len(alerts(d)), 10)
    want = list(map(as_syslog, alerts(d)))
    for kind in ("local", "tcp"):
        lab.wait_for(f"all at {kind}", lambda: len(log.took(kind)) >= len(want), 10)
        CASES.equal(f"rsyslog over {kind}: what it parsed is what eve.json has, in order, across its restart",
                    list(map(parsed, log.took(kind))), want)
    got = list(map(parsed, log.took("udp")))
    CASES.check("rsyslog over udp: the same, but for what was sent while nobody was there", got[:first] == want[:first] and
                set(got) <= set(want) and got[-1] == want[-1], got, want)
    heads = [x for k in kinds for x in log.took(k)]
    CASES.check("heads: host, program, number, time", all(
        x["host"] == socket.gethostname() and x["app"] == "egretd" and x["pid"] == heads[0]["pid"] and x["pid"].isdigit()
        for x in heads), heads[:2])
    lab.wait_for("all over TLS", lambda: len(log.took("tls")) >= len(want), 10)
    cef = [x["text"].lstrip() for x in log.took("tls")]
    CASES.check(f"CEF over TLS: {len(cef)} of {len(want)}, in order", len(cef) == len(want) and all(
        extension(c).get("dst") == w[2] and extension(c).get("dpt") == w[3] and extension(c).get("sproc") == w[4] and
        extension(c).get("msg") == w[5] for c, w in zip(cef, want)), cef[:2])
    rows = journal.took()
    CASES.equal("journald: the same, in fields of its own", [
        tuple(r.get(k) for k in ("EGRET_FINDING_ID", "EGRET_RULE", "EGRET_DEST_IP", "EGRET_DEST_PORT", "EGRET_PROGRAM", "MESSAGE"))
        for r in rows], want)
    CASES.check("the odd name came through", all(any(HOSTILE in (w[4] or "") for w in list_) for list_ in (
        want, map(parsed, log.took("tcp")))), want)
    CASES.check("journald: it was egretd, and how urgent", all(r["_COMM"] == "egretd" and r["PRIORITY"].isdigit() for r in rows),
                rows[:1])
    CASES.check("losses: only of what was cut off", all(v == 0 for v in (json.loads(x)["stats"]["lost"]["alert-send"] for x in
                                                                         d.lines() if b'"stats"' in x)), "")
    journal.child.terminate()
    log.stop()


def strangers(n):
    """A log server that is signed by somebody else, or for another address, is told nothing."""
    certificate(n, "ca")
    certificate(n, "evil")
    for name, issuer, address in (("impostor", "evil", "127.0.0.1"), ("elsewhere", "ca", "192.0.2.1")):
        key, crt = certificate(n, name, issuer, f"subjectAltName=IP:{address}", "basicConstraints=CA:FALSE")
        port = receivers.free_port(socket.SOCK_STREAM)
        out = receivers.start(n, "openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-key", key, "-cert", crt, "-quiet",
                              ready=lambda: receivers.is_bound("tcp", port))
        d = n.daemon(conf=f'alerts syslog "tls://127.0.0.1:{port}" ca "{n.tmp}/ca.crt"\n')
        attack(n, 4447)
        lab.wait_for("the finding", lambda: alerts(d))
        try:
            lab.wait_for("it to be refused", lambda: "Key was rejected" in d.messages(), 10)
        except TimeoutError:
            pass
        CASES.check(f"TLS: {name} is refused and told", "Key was rejected" in d.messages() and
                    d.messages().count("cannot be sent") == 1, d.messages())
        n.empty_processes()
        CASES.equal(f"TLS: {name}: ends well", d.stop(), 0)
        out.terminate()
        out.wait(10)
        CASES.check(f"TLS: {name} reads nothing", "egretd" not in receivers.messages(out), receivers.messages(out))
    bad = os.path.join(n.tmp, "no.conf")
    with open(bad, "w", encoding="ascii") as f:
        f.write('alerts syslog "tcp://127.0.0.1:601" ca "/x"\n')
    done = subprocess.run([lab.EGRETD, "-T", "-c", bad], capture_output=True, text=True)
    CASES.check("'ca' without TLS is a mistake", done.returncode == 1 and "belongs to tls" in done.stderr, done)


def main():
    lab.need(CASES, "socat", "rsyslogd", "journalctl", "openssl", "nsenter")
    if not os.path.exists("/lib/systemd/systemd-journald"):
        CASES.skip("logs", "no systemd-journald here")
        return CASES.end()
    n = lab.Lab("log")
    try:
        n.echo(7003)
        for port in (4444, 4445, 4446, 4447):
            n.small_server("c2", port)
        for scenario in (everywhere, strangers):
            try:
                scenario(n)
            except (RuntimeError, TimeoutError, subprocess.SubprocessError, OSError) as e:
                CASES.check(scenario.__name__, False, repr(e))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
