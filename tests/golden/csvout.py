#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`egret flows --csv` on texts that somebody else chose, read back by Python's csv: every value comes through as it was, but for an apostrophe
before what a spreadsheet would take for a formula."""
import csv
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading

import golden

sys.path.insert(0, os.path.join(golden.SOURCE, "tests"))
from fake_egretd import flow        # noqa: E402

HOSTILE = ["plain", 'quo"te', '"', '""', "com,ma", "line\nend", "car\rriage\r\n", "tab\tbed", "nul\0byte", "\x1b[31mred", "ünïcode",
           "日本", "a\u202eb", " blank ", "=1+1", "'", "\\", "\\n", ";", "#", "", "," * 1000, '"' * 1000, "x" * 65536, "\n" * 4096,
           "\ufffd\ufffd"]
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
WHERE = {"program": ("process", "name"), "executable": ("process", "executable"), "user": ("user", "name"),
         "unit": ("service", "name"), "container": ("container", "name"), "name": ("egret", "name")}


def records():
    for i, text in enumerate(HOSTILE):
        r = flow(i, 1767225600, text)
        r["service"], r["container"], r["user"], r["egret"]["name"] = {"name": text}, {"name": text}, {"name": text}, text
        r["process"]["executable"] = text
        yield r


def serve(path, lines):
    """One client, one answer."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(1)

    def answer():
        client = server.accept()[0]
        question = b""
        while not question.endswith(b"\n"):
            question += client.recv(4096)
        for line in lines:
            client.sendall(json.dumps(line).encode() + b"\n")
        client.close()

    threading.Thread(target=answer, daemon=True).start()


def harmless(text):
    """What a spreadsheet would take for a formula has an apostrophe in front."""
    return "'" + text if text[:1] in FORMULA else text


def main():
    cases = golden.Cases()
    sent = list(records())
    with tempfile.TemporaryDirectory() as tmp:
        serve(os.path.join(tmp, "egret.sock"), [*sent, {"end": True, "matched": len(sent), "shown": len(sent)}])
        done = subprocess.run([golden.EGRET, "--run", tmp, "flows", "--csv"], capture_output=True, timeout=30)
    cases.check("exit status", done.returncode == 0, done.returncode, done.stderr)
    rows = list(csv.reader(io.StringIO(done.stdout.decode(), newline=""), strict=True))
    head = rows[0]
    cases.check("a head line with a name a column", len(set(head)) == len(head) and set(WHERE) < set(head), head)
    cases.equal("a row a flow", len(rows) - 1, len(sent))
    cases.equal("as many values as columns", {len(r) for r in rows}, {len(head)})
    for r, row in zip(sent, rows[1:]):
        got = dict(zip(head, row))
        wrong = {c: (got[c][:80], r[a][b][:80]) for c, (a, b) in WHERE.items() if got[c] != harmless(r[a][b])}
        cases.check(f"comes through: {r['process']['name'][:20]!r}", not wrong, wrong)
        cases.equal("and its numbers", [got["bytes_toclient"], got["src_port"], got["dest_ip"]],
                    [str(r["flow"]["bytes_toclient"]), str(r["src_port"]), r["dest_ip"]])
    return cases.end()


sys.exit(main())
