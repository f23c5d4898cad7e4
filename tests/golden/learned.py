#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`egret policy learn` on recorded traffic: what it prints, replayed on the same recording, refuses nothing; and it is
shorter than the list of what was recorded. Every capture by itself, and all of them as one day."""
import glob
import os
import re
import subprocess
import sys
import tempfile

import golden

CASES = golden.Cases()
DATA = os.environ.get("EGRET_DATA", os.path.join(golden.SOURCE, "..", "shared", "data"))
SHORT = 6  # kinds of flows below which head and default weigh more than the rules


def egret(*argv):
    return subprocess.run([golden.EGRET, "policy", *argv], capture_output=True, text=True, timeout=300)


def learn(name, files, policy):
    """(kinds of flows, statements), or None when there was nothing to learn."""
    done = egret("learn", "-o", policy, *files)
    if "nothing was recorded" in done.stderr:
        return None
    told = re.search(r"^([0-9,]+) flows of ([0-9,]+) kinds in (\d+) statements; judged by it, all pass$", done.stderr, re.M)
    if not CASES.check(f"{name}: a policy is learned", done.returncode == 0 and told, done.stderr[-800:]):
        return None
    replay = egret("replay", policy, *files)
    CASES.check(f"{name}: it refuses nothing of the recording", replay.returncode == 0 and
                ", 0 would be refused" in replay.stdout and "cannot be decided" not in replay.stdout, replay.stdout[-1500:])
    return int(told.group(2).replace(",", "")), int(told.group(3))


def main():
    files = sorted(f for kind in ("pcap", "pcapng", "cap") for f in glob.glob(f"{DATA}/**/*.{kind}", recursive=True))
    files += sorted(glob.glob(os.path.join(golden.HERE, "captures", "*.pcap*")))
    with tempfile.TemporaryDirectory() as tmp:
        policy = os.path.join(tmp, "learned.egret")
        for path in files:
            counts = learn(os.path.basename(path), [path], policy)
            if counts and counts[0] >= SHORT:
                CASES.check(f"{os.path.basename(path)}: shorter than the list", counts[1] < counts[0], counts)
        zeek = os.path.join(DATA, "c2-otrf-apt29", "zeek-day1")
        if os.path.isdir(zeek):
            counts = learn("a day of Zeek logs", [zeek], policy)
            CASES.check("a day of Zeek logs: shorter than the list", counts and counts[1] * 2 < counts[0], counts)
        else:
            CASES.skip("a day of Zeek logs", "no such data here")
        counts = learn("all captures as one day", files, policy)
        CASES.check("all captures as one day: far shorter than the list", counts and counts[1] * 4 < counts[0], counts)
    return CASES.end()


sys.exit(main())
