#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Wrong policies and what `egret policy check` says of them, word for word.

usage: messages.py [--write]      --write makes the .expected files anew; `git diff` is the review

policy/NNN-name.egret is a policy with the mistake of its name; .expected holds messages and exit status.
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import golden                       # noqa: E402

FOLDER = os.path.join(HERE, "policy")
AT = "2026-11-22T12:00Z"


def check(name):
    """Messages and exit status, the policy named as a person in its folder would."""
    done = subprocess.run([golden.EGRET, "policy", "check", "--quiet", "--at", AT, "--config", "/dev/null", name],
                          cwd=FOLDER, capture_output=True, stdin=subprocess.DEVNULL, timeout=60,
                          env={**os.environ, "TZ": "UTC", "LC_ALL": "C"})
    return done.stderr + done.stdout + b"exit %d\n" % done.returncode


def main():
    names = sorted(x for x in os.listdir(FOLDER) if x.endswith(".egret"))
    if sys.argv[1:] == ["--write"]:
        for name in names:
            with open(os.path.join(FOLDER, name[:-6] + ".expected"), "wb") as f:
                f.write(check(name))
        return 0
    cases = golden.Cases()
    for name in names:
        path = os.path.join(FOLDER, name[:-6] + ".expected")
        if not cases.check(f"{name}: there is what is expected of it", os.path.exists(path)):
            continue
        with open(path, "rb") as f:
            want = f.read()
        got = check(name)
        cases.check(name, got == want, *(f"got {line!r}" for line in got.splitlines() if line not in want.splitlines()),
                    *(f"want {line!r}" for line in want.splitlines() if line not in got.splitlines()))
        cases.check(f"{name}: something is said", any(b": %s: " % x in got for x in (b"error", b"warning", b"note")))
    cases.check("there are at least 80", len(names) >= 80, len(names))
    return cases.end()


sys.exit(main())
