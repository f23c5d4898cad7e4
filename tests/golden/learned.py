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


SEGMENTS = """segment wide    = 10.0.0.0/8, 192.168.0.0/16, 172.16.0.0/12, fd00::/8
segment servers = 198.51.100.0/24, 2001:db8::/32
default allow
"""
NESTED = "segment narrow = 10.1.0.5, 192.168.100.0/24\n" + SEGMENTS  # its addresses are in `wide`, too


def by_segments(name, files, segments, policy):
    """The matrix lets pass all of the recording, its expectations hold, and a pair that was never seen is refused."""
    done = egret("learn", "-c", "/dev/null", "--segments", "--policy", segments, "-o", policy, *files)
    if "nothing was recorded" in done.stderr:
        return
    if not CASES.check(f"{name}: by segments", done.returncode == 0 and "judged by it, all pass" in done.stderr, done.stderr[-800:]):
        return
    replay = egret("replay", policy, *files)
    CASES.check(f"{name}: by segments, it refuses nothing of the recording", replay.returncode == 0 and
                ", 0 would be refused" in replay.stdout, replay.stdout[-1500:])
    check = egret("check", "-c", "/dev/null", policy)
    CASES.check(f"{name}: by segments, it loads and its expectations hold", check.returncode in (0, 1) and "fail" not in check.stdout and
                "error" not in check.stderr, check.stdout, check.stderr[-800:])
    with open(policy, encoding="utf-8") as f:
        text = f.read()
    pairs = set(re.findall(r"^allow from (\w+) to (wide|servers|narrow)\b", text, re.M))
    if "expect reject from servers to" in text:
        why = subprocess.run([golden.EGRET, "why", "--policy", policy, "--from", "198.51.100.7", "10.99.99.99:9/tcp"], capture_output=True,
                             text=True, timeout=60)
        CASES.check(f"{name}: servers never opened flows to wide, and may not", ("servers", "wide") in pairs or "reject" in why.stdout,
                    why.stdout, why.stderr)


def all_by_segments(files, tmp):
    policy, segments = os.path.join(tmp, "learned.egret"), os.path.join(tmp, "segments.egret")
    for what, text in (("", SEGMENTS), (", some within others", NESTED)):
        with open(segments, "w", encoding="utf-8") as f:
            f.write(text)
        for path in files:
            by_segments(os.path.basename(path) + what, [path], segments, policy)
    by_segments("all captures as one day", files, segments, policy)
    one = [x for x in files if x.endswith("/http.pcap")]
    with open(segments, "w", encoding="utf-8") as f:
        f.write("segment office = 10.1.0.0/16, fd00:1::/64\nsegment servers = 198.51.100.0/24\ndefault allow\n")
    done = egret("learn", "-c", "/dev/null", "--segments", "--policy", segments, *one)
    CASES.check("a pair is a rule, with ports and what it moved; what must stay true stands below", all(re.search(x, done.stdout, re.M) for x in (
        r"^allow from office to servers port 80/tcp, 3128/tcp, 8081/tcp   # 4 flows, 2\.7 kB$", r"^reject from servers to office, servers$",
        r"^default deny$", r"^expect allow from office to servers port 80/tcp$", r"^expect reject from servers to office, servers$")), done)
    with open(segments, "w", encoding="utf-8") as f:
        f.write("default allow\n")
    done = egret("learn", "-c", "/dev/null", "--segments", "--policy", segments, *one)
    CASES.check("no segment: said, with the networks that were seen", done.returncode == 1 and not done.stdout and
                "no segment is defined" in done.stderr and "\nsegment net-10-1-0-0 = 10.1.0.0/24\n" in done.stderr, done)
    for argv in (("--segments", "--app", "curl"), ("--policy", segments)):
        done = egret("learn", "-c", "/dev/null", *argv, *one)
        CASES.check(f"learn {argv[0]} …: wrong call", done.returncode == 2 and done.stderr and not done.stdout, done)


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
        all_by_segments(files, tmp)
        counts = learn("all captures as one day", files, policy)
        CASES.check("all captures as one day: far shorter than the list", counts and counts[1] * 4 < counts[0], counts)
    return CASES.end()


sys.exit(main())
