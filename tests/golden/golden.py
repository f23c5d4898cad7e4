# SPDX-License-Identifier: Apache-2.0
"""What the golden tests share: running `egret read`, counting cases, finding the data."""
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
SOURCE = os.environ.get("EGRET_SOURCE", os.path.dirname(os.path.dirname(HERE)))
BUILD = os.environ.get("EGRET_BUILD", os.path.join(SOURCE, "build"))
DATA = os.environ.get("EGRET_DATA", os.path.join(SOURCE, "..", "shared", "data"))
EGRET = os.path.join(BUILD, "src", "egret")

sys.path.insert(0, os.path.join(SOURCE, "tests"))


class Cases:
    """Counts; says what failed or was skipped, by name; the last line is for tests/total.py."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, name, ok, *why):
        if ok:
            self.passed += 1
        else:
            self.failed += 1
            print("FAIL", name)
            for line in why:
                print("    ", str(line)[:1500])
        return ok

    def equal(self, name, got, want):
        return self.check(name, got == want, f"got  {got!r}", f"want {want!r}")

    def same_set(self, name, got, want):
        got, want = set(got), set(want)
        return self.check(name, got == want, f"missing  {sorted(want - got, key=str)[:8]}",
                          f"too many {sorted(got - want, key=str)[:8]}")

    def skip(self, name, why):
        self.skipped += 1
        print(f"SKIP {name}: {why}")

    def end(self):
        print(f"cases: {self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        if not self.passed and not self.failed and self.skipped:
            return 77
        return 1 if self.failed else 0


class Read:
    """One run of `egret read`: records (with --json), output, messages, exit status, seconds."""

    def __init__(self, *args, json_out=True, stdin=None, timeout=120, limit_kb=None):
        argv = [EGRET, "read", *(["--json"] if json_out else []), *args]
        if limit_kb:
            argv = ["bash", "-c", f'ulimit -v {limit_kb} && exec "$@"', "bash", *argv]
        start = time.monotonic()
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=timeout)
        self.seconds = time.monotonic() - start
        self.status = done.returncode
        self.out = done.stdout
        self.err = done.stderr.decode("utf-8", "replace")
        self.lines = done.stdout.splitlines() if json_out else []
        self.records = [json.loads(line) for line in self.lines]

    def of(self, *types):
        return [r for r in self.records if r["event_type"] in types]

    def flows(self):
        """The last record of every flow."""
        return list({r["flow_id"]: r for r in self.of("flow")}.values())


def data(name):
    """Path of a file of the shared data, or None."""
    path = os.path.join(DATA, name)
    return path if os.path.exists(path) else None


def ends(r):
    return (r["src_ip"], r.get("src_port", 0)), (r["dest_ip"], r.get("dest_port", 0))


def check_schema(cases, name, lines):
    """Every line against docs/eve.schema.json."""
    done = subprocess.run(["/usr/bin/python3", os.path.join(SOURCE, "tests", "check_schema.py"), "-"],
                          input=b"\n".join(lines) + b"\n", capture_output=True)
    cases.check(f"{name}: {len(lines)} records fit docs/eve.schema.json", done.returncode == 0,
                done.stdout.decode()[:1500], done.stderr.decode()[:1500])
