#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Policies that documents show, through `egret policy check`, and commands that stand below them.

A block "```egret file=NAME" is a whole policy that has to be without mistakes and warnings; with "wrong" behind it, one
that has to have some. In a block "```console" each line "$ egret policy check …" or "$ egret why --policy …" is run, and
prints what is shown below it. The example of egret-policy(5) is checked, too.
"""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import golden                       # noqa: E402

CASES = golden.Cases()
ENV = {**os.environ, "TZ": "UTC", "LC_ALL": "C", "PATH": os.path.dirname(golden.EGRET) + ":" + os.environ["PATH"]}
RUNS = re.compile(r"egret (policy check|why --policy)\b")


def run(folder, command):
    return subprocess.run(["sh", "-c", command + " 2>&1"], cwd=folder, env=ENV, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60)


def blocks(text):
    for m in re.finditer(r"^```(\w+)([^\n]*)\n(.*?)^```$", text, re.M | re.S):
        yield m.group(1), m.group(2).split(), m.group(3)


def commands(body):
    """(command, what is shown below it) of a console block."""
    for part in re.split(r"^\$ ", body, flags=re.M)[1:]:
        command, _, output = part.partition("\n")
        yield command, output.rstrip("\n")


def check_policy(folder, path, words, body):
    name = dict(w.split("=", 1) for w in words if "=" in w).get("file")
    if not CASES.check(f"{path}: a policy has a name", name, body):
        return
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        f.write(body)
    done = run(folder, f"egret policy check --at 2026-11-22 {name}")
    CASES.equal(f"{path}: {name}: exit status", done.returncode, 2 if "wrong" in words else 0)
    CASES.check(f"{path}: {name}: messages", ("error: " in done.stdout) == ("wrong" in words), done.stdout)


def check_document(path, folder):
    with open(os.path.join(golden.SOURCE, path), encoding="utf-8") as f:
        text = f.read()
    n = 0
    for kind, words, body in blocks(text):
        if kind == "egret":
            check_policy(folder, path, words, body)
            n += 1
        for command, output in commands(body) if kind == "console" else ():
            if not RUNS.match(command):
                continue
            done = run(folder, command)
            CASES.equal(f"{path}: {command}: prints what is shown", done.stdout.rstrip("\n").split("\n"),
                        output.split("\n"))
            n += 1
    return n


def check_page(folder):
    with open(os.path.join(golden.SOURCE, "docs/man/egret-policy.5.scd"), encoding="utf-8") as f:
        page = f.read()
    body = re.search(r"^# EXAMPLE\n\n```\n(.*?)^```", page, re.M | re.S).group(1)
    check_policy(folder, "egret-policy(5)", ["file=page.egret"], body)
    words = re.search(r"^\*speaking\*\n((?:\t.*\n)+)", page, re.M).group(1).split(":")[0]
    named = re.findall(r"[a-z][a-z0-9]+", words.split(", and dot")[0]) + ["dot", "doq", "doh", "unknown"]
    with open(os.path.join(golden.SOURCE, "src/decode/appproto.h"), encoding="utf-8") as f:
        known = re.findall(r'X\([A-Z0-9]+, "(\w+)"\)', f.read())
    CASES.same_set("egret-policy(5) lists the protocols", named, known + ["dot", "doq", "doh"])


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "lists.d"))
        with open(os.path.join(folder, "lists.d", "feodo.csv"), "w", encoding="utf-8") as f:
            f.write("203.0.113.66\n")
        for path, least in (("docs/policy.md", 8), ("docs/bandwidth.md", 3)):
            n = check_document(path, folder)
            CASES.check(f"{path} has examples that run", n >= least, n)
        check_page(folder)
    return CASES.end()


sys.exit(main())
