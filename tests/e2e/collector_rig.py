# SPDX-License-Identifier: Apache-2.0
"""A CA, `egretd --collector`, and agents that send as egretd does: batches of a spool, each until it is taken, with the same bytes."""
import ctypes
import gzip
import http.client
import json
import os
import random
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.parse

import lab

COLLECTOR = 18443
COLUMNS = re.compile(r"CREATE TABLE IF NOT EXISTS \{db\}\.(\w+)\{local\} \{cluster\} \(\n(.*?)\n\) ENGINE", re.S)


class Authority:
    """An own CA in a folder."""

    def __init__(self, folder, name="ca"):
        self.folder = folder
        self.ca = self.path(name, "crt")
        self.name = name
        self.openssl("req", "-x509", *self.key(name), "-out", self.ca, "-days", "2", "-subj", f"/CN={name}")

    def path(self, name, suffix):
        return os.path.join(self.folder, f"{name}.{suffix}")

    def openssl(self, *argv):
        lab.must("openssl", *argv)

    def key(self, name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", self.path(name, "key"))

    def issue(self, name, *names):
        """(certificate, key) with these subject alternative names."""
        self.openssl("req", "-x509", *self.key(name), "-out", self.path(name, "crt"), "-days", "2", "-subj", f"/CN={name}",
                     "-CA", self.ca, "-CAkey", self.path(self.name, "key"), "-addext", "subjectAltName=" + ",".join(names),
                     "-addext", "basicConstraints=critical,CA:FALSE")
        return self.path(name, "crt"), self.path(name, "key")


class Collector:
    """In the namespace `ns`; `to` are the addresses of ClickHouse."""

    def __init__(self, n, ns, authority, to, password, port=COLLECTOR, spool="1gb", name="collector"):
        self.n, self.ns, self.port = n, ns, port
        self.dir = os.path.join(n.tmp, name)
        os.makedirs(self.dir)
        cert, key = authority.issue(name, "IP:127.0.0.1")
        self.conf = os.path.join(self.dir, "collector.conf")
        urls = " ".join(f'"{x}"' for x in to)
        with open(self.conf, "w", encoding="ascii") as f:
            f.write(f'state "{self.dir}/state"\nrun "{self.dir}"\n'
                    f'collector {{ listen "127.0.0.1:{port}" certificate "{cert}" key "{key}" client-ca "{authority.ca}" wait 2s }}\n'
                    f'store clickhouse {{ url {urls} user egret password-file "{password}" spool {spool} }}\n')
        self.child, self.starts = None, 0
        self.start()

    url = property(lambda self: f"https://127.0.0.1:{self.port}")

    def start(self):
        self.starts += 1
        self.child = self.n.start(lab.EGRETD, "--collector", "--foreground", "-c", self.conf, ns=self.ns,
                                  log=f"{os.path.basename(self.dir)}.{self.starts}.log", ready=lambda _: self.n.listens("t", self.port, self.ns))

    def kill(self):
        self.child.kill()
        self.child.wait()

    def stop(self):
        return self.n.stop(self.child)

    def messages(self):
        with open(self.child.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def egret(self, *argv):
        return subprocess.run([lab.EGRET, "--run", self.dir, *argv], capture_output=True, text=True, timeout=60)

    def status(self):
        return json.loads(self.egret("status", "--json").stdout)

    def is_drained(self):
        s = self.status()
        return s["collector"]["waiting"] == 0 and s["collector"]["waiting_batches"] == 0 and s

    def drained(self, seconds=90):
        return lab.wait_for("the collector's spool to be empty", self.is_drained, seconds)


def statement(table):
    """As the program itself has it."""
    with open(lab.EGRETD, "rb") as f:
        return re.search(rb"INSERT INTO " + table.encode() + rb" \([^)]*\) FORMAT RowBinary", f.read()).group().decode()


def types():
    with open(os.path.join(lab.SOURCE, "packaging", "clickhouse", "schema", "1.sql"), encoding="utf-8") as f:
        return {table: dict(x.strip().split(" ", 1) for x in body.replace("\n", " ").split(",")) for table, body in COLUMNS.findall(f.read())}


def text(s):
    n, out = len(s), b""
    while n >= 128:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n]) + s


def value(kind, v):
    if kind.startswith("Array"):
        return text(b"") if not v else bytes([len(v)]) + b"".join(value(kind[6:-1], x) for x in v)
    if kind == "FixedString(16)":
        return v or bytes(16)
    size = {"UInt8": "B", "UInt16": "H", "UInt32": "I", "UInt64": "Q", "Int32": "i", "DateTime": "I"}.get(kind)
    return struct.pack("<" + size, v or 0) if size else text((v or "").encode() if not isinstance(v, bytes) else v)


class Table:
    def __init__(self, name, kinds=types()):
        self.name, self.statement = name, statement(name)
        self.columns = [(c, kinds[name][c]) for c in re.search(r"\((.*?)\)", self.statement).group(1).split(", ")]

    def row(self, **values):
        return b"".join(value(kind, values.get(c)) for c, kind in self.columns)

    def rows(self, host, first_id, amounts):
        """A row for each amount of bytes: up_bytes. Made fast, of one row."""
        ids, ups = 0x1111111111111111, 0x2222222222222222
        one = self.row(ts=int(time.time()), host=host, boot=1, flow_id=ids, up_bytes=ups, name="a.example", exe="/usr/bin/x", app="tls",
                       our_ip=bytes(10) + b"\xff\xff\x0a\x00\x00\x01", peer_ip=bytes(10) + b"\xff\xff\xc0\x00\x02\x01", proto=6)
        a, rest = one.split(struct.pack("<Q", ids))
        b, c = rest.split(struct.pack("<Q", ups))
        return b"".join(a + struct.pack("<Q", first_id + i) + b + struct.pack("<Q", n) + c for i, n in enumerate(amounts))


class Agent:
    """`urls` are tried in turn as the sender does; a batch is sent until it is taken. Sums of what was taken are kept."""

    def __init__(self, ns, host, pair, ca, url, spool_id=None):
        self.host, self.url, self.ns = host, urllib.parse.urlsplit(url), ns
        self.context = ssl.create_default_context(cafile=ca) if ca else None
        if pair:
            self.context.load_cert_chain(*pair)
        self.id = spool_id or random.randbytes(16).hex()
        self.seq, self.rows, self.bytes, self.tries, self.batches = int(time.time()) << 20, 0, 0, 0, 0
        self.conn, self.table = None, Table("flow_1")

    def connect(self):
        raw = socket_in(self.ns)
        raw.settimeout(20)
        self.conn = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=20)
        try:
            raw.connect((self.url.hostname, self.url.port))
            self.conn.sock = self.context.wrap_socket(raw, server_hostname=self.url.hostname) if self.context else raw
        except OSError:
            raw.close()
            self.close()
            raise

    def close(self):
        if self.conn:
            self.conn.close()
        self.conn = None

    def post(self, query, body=b"", headers=(), more=""):
        """(status, headers, text); raises OSError or HTTPException when there is no answer."""
        if not self.conn:
            self.connect()
        try:
            self.conn.request("POST", "/?database=egret&query=" + urllib.parse.quote(query) + more, body, dict(headers))
            got = self.conn.getresponse()
            return got.status, got.headers, got.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def insert(self, body, rows, seq=None, table=None, packed=None, more="", **change):
        table = table or self.table
        name = f"{self.seq if seq is None else seq:016x}-{table.name}-{rows}"
        headers = {"Content-Encoding": "gzip", "X-Egret-Spool": self.id, "X-Egret-Batch": name} | change
        return self.post(table.statement, gzip.compress(body, 1, mtime=0) if packed is None else packed,
                         {k: v for k, v in headers.items() if v is not None}, more)

    def batch(self, rows=None):
        """(rows, bytes of the flows, body)"""
        amounts = [random.randrange(1, 10**6) for _ in range(rows or random.randrange(1, 400))]
        return len(amounts), sum(amounts), self.table.rows(self.host, self.rows + 1, amounts)

    def send(self, rows=None, stop=lambda: False):
        """One batch, until it is taken. It counts from the moment when it is made: nothing that was made is given up."""
        n, amount, body = self.batch(rows)
        self.seq += 1
        self.rows += n
        self.bytes += amount
        wait = 0.05
        while True:
            self.tries += 1
            try:
                status, _, words = self.insert(body, n)
                if status == 200:
                    self.batches += 1
                    return
                if status < 500:
                    raise RuntimeError(f"{status}: {words}")
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(random.uniform(wait / 2, wait))
            wait = min(2 * wait, 1)
            if stop():
                raise RuntimeError("the batch was never taken")


def socket_in(ns):
    """A socket of a namespace, made by a thread of its own: which namespace it is in is a thread's."""
    made = []

    def make():
        with open(f"/run/netns/{ns}", "rb") as f:
            if ctypes.CDLL(None, use_errno=True).setns(f.fileno(), 0x40000000) == 0:
                made.append(socket.socket())
    t = threading.Thread(target=make)
    t.start()
    t.join()
    return made[0]


class Relay:
    """Between an agent and a collector, not looking inside: `deaf`: what the agent sends arrives, and no answer comes; `shut`: nobody is there."""

    def __init__(self, ns, port, upstream):
        self.ns, self.port, self.upstream, self.deaf = ns, port, upstream, False
        self.listener, self.open = None, []
        self.listen()

    url = property(lambda self: f"https://127.0.0.1:{self.port}")

    def listen(self):
        self.listener = socket_in(self.ns)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(64)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
                server = socket_in(self.ns)
                self.open += [client, server]
                server.connect(("127.0.0.1", self.upstream))
            except OSError:
                if listener.fileno() < 0:
                    return
                client.close()
                continue
            threading.Thread(target=self.pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, True), daemon=True).start()

    def pump(self, a, b, answers):
        """Deaf it is from the batch on: a hello, which is short, is answered."""
        try:
            while True:
                data = a.recv(65536)
                if not data:
                    break
                if answers and self.deaf and b in self.sent_batch:
                    break
                if not answers and self.deaf and len(data) > 1500:
                    self.sent_batch.add(a)
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    sent_batch = set()

    def shut(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for s in self.open:
            try:
                s.shutdown(socket.SHUT_RDWR)    # a thread that reads it keeps it open
            except OSError:
                pass
            s.close()
        self.open = []


def at_once(agents, each):
    """each(agent) for all of them, in threads. Mistakes as a list."""
    wrong = []

    def run(a):
        try:
            each(a)
        except Exception as e:          # a thread's mistakes are the caller's
            wrong.append(repr(e))
    threads = [threading.Thread(target=run, args=(a,)) for a in agents]
    for t in threads:
        t.start()
    return threads, wrong
