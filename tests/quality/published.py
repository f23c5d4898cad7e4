#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench/QUALITY.md, one part a program of this folder. Run by itself it writes the parts that take seconds: captures, beacons, DNS tunnels
(EGRET_BUILD, EGRET_DATA as in ./dev test). The others are written by dga.py and volume.py.
"""
import os
import re
import subprocess
import sys

SOURCE = os.environ.get("EGRET_SOURCE", os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))))
QUALITY = os.path.join(SOURCE, "bench", "QUALITY.md")

CAPTURES = """## Captures

`tests/quality/captures.py --table`: the shared captures, read as a user reads them. "false": findings of medium and above that name another
peer. Seconds of recorded traffic until the finding would have been told.

"""

BEACONS = """## Beacons

`quality_beacon` (tests/quality/beacon.c): made-up check-ins of one day unless said otherwise, 5 % of them lost, with a fixed seed, through the
whole detector; 200 runs a row. "raw": the test alone, without what is subtracted for having looked at many pairs; "wanted": what the same test
reached in the design's head-to-head. Then ordinary traffic, and how often random traffic reaches a printed p beside how often it should.

"""

TUNNELS = """## DNS tunnels

`quality_dns` (tests/quality/dns.c): the message shapes of each tool until the first finding of medium or above, ordinary names beside
them, and the shared captures.

"""


def read():
    with open(QUALITY, encoding="utf-8") as f:
        return f.read()


def part(title):
    """Text of one part, without its heading."""
    return read().partition(f"## {title}\n")[2].partition("\n## ")[0]


def put(text):
    """Puts a part, which begins with its heading, in the place of the one of that name, else at the end."""
    old = read()
    heading = text.partition("\n")[0]
    before, _, rest = old.partition(heading + "\n")
    after = rest[rest.index("\n## ") + 1:] if "\n## " in rest else ""
    with open(QUALITY, "w", encoding="utf-8") as f:
        f.write(before.rstrip("\n") + "\n\n" + text.rstrip("\n") + "\n" + ("\n" + after if after else ""))


def printed(program):
    """What a test of cmocka prints for people."""
    done = subprocess.run([os.path.join(os.environ["EGRET_BUILD"], "tests", "quality", program)], check=True, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return "\n".join(x.rstrip() for x in done.stdout.splitlines() if not re.match(r"\[[ =A-Z-]+\]", x))


def main():
    table = subprocess.run([sys.executable, "-B", os.path.join(SOURCE, "tests", "quality", "captures.py"), "--table"], check=True,
                           text=True, stdout=subprocess.PIPE).stdout
    put(CAPTURES + "\n".join(x for x in table.splitlines() if x.startswith("|")))
    put(BEACONS + "```\n" + printed("quality_beacon") + "\n```")
    put(TUNNELS + "```\n" + printed("quality_dns") + "\n```")
    return 0


if __name__ == "__main__":
    sys.exit(main())
