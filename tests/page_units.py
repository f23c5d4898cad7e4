#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The pure functions of the page (web/test/*.test.mjs) under node; skipped where there is none."""
import glob
import os
import re
import shutil
import subprocess
import sys

WEB = os.path.join(os.environ.get("EGRET_SOURCE", os.path.dirname(os.path.dirname(os.path.realpath(__file__)))), "web")


def main():
    if not shutil.which("node"):
        print("SKIP page_units: no node here\ncases: 0 passed, 0 failed, 1 skipped")
        return 77
    done = subprocess.run(["node", "--test", "--test-reporter=tap", *sorted(glob.glob(os.path.join(WEB, "test", "*.test.mjs")))],
                          capture_output=True, text=True)
    cases = re.findall(r"^ *(not )?ok \d+ - (?!.*\.mjs$)(.*)$", done.stdout, re.M)
    failed = [name for bad, name in cases if bad]
    for name in failed:
        print("FAIL", name)
    if failed or done.returncode:
        print(done.stdout[-6000:], done.stderr[-2000:])
    print(f"cases: {len(cases) - len(failed)} passed, {len(failed)} failed, 0 skipped")
    return 1 if failed or done.returncode or not cases else 0


sys.exit(main())
