#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Adds up what the test layers did; the last line is the total.

usage: total.py NAME=FILE...

FILE is a meson testlog.json (a line a test program), or the output of anything that ends with
"cases: N passed, N failed, N skipped". A program that counts no cases of its own counts as one.
"""
import json
import re
import sys

CASES = re.compile(r"^cases: (\d+) passed, (\d+) failed, (\d+) skipped$", re.M)
CMOCKA = {word: re.compile(r"^\[  %s *\] (\d+) test\(s\)" % word, re.M)
          for word in ("PASSED", "FAILED", "SKIPPED")}
CMOCKA_NAME = re.compile(r"^\[  (FAILED|SKIPPED) *\] (?!\d+ test\(s\))(.*?)(?: \(Test .*)?$", re.M)
OWN_NAME = re.compile(r"^(FAIL|SKIP) (.*)$", re.M)


def cases_of(text):
    """(passed, failed, skipped), or None when the text has no counts; and the names that did not pass."""
    own = CASES.findall(text)
    if own:
        counts = tuple(sum(int(c[i]) for c in own) for i in range(3))
        return counts, OWN_NAME.findall(text)
    counts = tuple(sum(map(int, CMOCKA[w].findall(text))) for w in ("PASSED", "FAILED", "SKIPPED"))
    names = {(word[:4], name) for word, name in CMOCKA_NAME.findall(text)}
    return (counts if sum(counts) else None), sorted(names)


def meson_test(line):
    """The same for one program of a testlog.json."""
    t = json.loads(line)
    counts, names = cases_of((t.get("stdout") or "") + "\n" + (t.get("stderr") or ""))
    result, name = t["result"], t["name"]
    names = [(word, f"{name}: {case}") for word, case in names]
    if result == "SKIP":
        return (0, 0, sum(counts) if counts else 1), names or [("SKIP", name)]
    if result in ("OK", "EXPECTEDFAIL"):
        return counts or (1, 0, 0), names
    passed, failed, skipped = counts or (0, 0, 0)
    # A crash or a time-out after good cases is still a failure, and one that no case counted.
    if not failed:
        failed = 1
        names.append(("FAIL", f"{name}: {result.lower()}"))
    return (passed, failed, skipped), names


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        text = f.read()
    if path.endswith(".json"):
        return [meson_test(line) for line in text.splitlines() if line.strip()]
    counts, names = cases_of(text)
    return [(counts, names)] if counts else []


def main():
    total, skipped, failed = [0, 0, 0], [], []
    for arg in sys.argv[1:]:
        layer, path = arg.split("=", 1)
        try:
            results = read(path)
        except OSError as e:
            results = []
            print(f"{layer}: {e.strerror}: {path}")
        if not results:
            results = [((0, 1, 0), [("FAIL", "left no result")])]
        sums = [sum(r[0][i] for r in results) for i in range(3)]
        print("%-24s %5d passed %4d failed %4d skipped" % (layer, *sums))
        total = [a + b for a, b in zip(total, sums)]
        for word, name in (n for r in results for n in r[1]):
            (skipped if word == "SKIP" else failed).append(f"{layer}: {name}")
    for title, names in (("skipped", skipped), ("failed", failed)):
        for name in names:
            print(f"{title}: {name}")
    print("%d passed, %d failed, %d skipped" % tuple(total))
    return 1 if total[1] else 0


sys.exit(main())
