#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""docs/detection.md against the source: its weight table is src/detect/evidence.c, each detector has its part. --write puts the table
there.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "golden"))
from golden import Cases, SOURCE  # noqa: E402

DOC = os.path.join(SOURCE, "docs/detection.md")
BEGIN, END = "<!-- weights -->\n", "<!-- end of weights -->\n"
ROW = re.compile(r'\[E_\w+\] = \{\s*"([^"]+)",\s*"([^"]*)",\s*GROUP_(\w+),\s*CLASS_(\w+),\s*(true|false),\s*(-?\d+),\s*"([^"]*)",\s*'
                 r'((?:"[^"]*"\s*)+),\s*((?:"[^"]*"\s*)+)\}')


def text_of(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as f:
        return f.read()


def words(literals):
    return "".join(re.findall(r'"([^"]*)"', literals))


def rows():
    return ROW.findall(text_of("src/detect/evidence.c"))


def table():
    caps = dict(re.findall(r'X\((\w+), "\w+", (\d+)\)', text_of("src/detect/evidence.h")))
    out = ["| detector | evidence | dB | group (cap) | class | ATT&CK | what it means | where the weight comes from |",
           "|---|---|---|---|---|---|---|---|"]
    for word, detector, group, kind, alone, most, attack, means, source in rows():
        out.append(f"| {detector or '-'} | {word} | {most}{', alone' if alone == 'true' else ''} | {group.lower()} ({caps[group]}) | "
                   f"{'-' if kind == 'NONE' else kind.lower()} | {attack or '-'} | {words(means)} | {words(source)} |")
    return "\n".join(out) + "\n"


def detectors():
    """Their names, in the order of the table of detectors."""
    order = re.findall(r"&detect_(\w+)", text_of("src/detect/detectors.c"))
    names = {}
    for name in os.listdir(os.path.join(SOURCE, "src/detect")):
        if name.endswith(".c"):
            names.update(re.findall(r'const struct detector detect_(\w+) = \{\s*\.name = "([^"]+)"', text_of("src/detect/" + name)))
    return [names[x] for x in order]


def main():
    text = text_of("docs/detection.md")
    have = text[text.index(BEGIN) + len(BEGIN):text.index(END)] if BEGIN in text else ""
    if sys.argv[1:] == ["--write"]:
        with open(DOC, "w", encoding="utf-8") as f:
            f.write(text.replace(BEGIN + have + END, BEGIN + table() + END))
        return 0
    cases = Cases()
    cases.check("the weight table of docs/detection.md is that of the source (weights.py --write)", have == table())
    cases.check("rows are found", len(rows()) > 20, len(rows()))
    cases.equal("each row has its word", len({r[0] for r in rows()}), len(rows()))
    cases.equal("all rows of the table are read", len(rows()), len(re.findall(r"\[E_\w+\] = ", text_of("src/detect/evidence.c"))))
    sections = re.findall(r"^## (\S+)$", text, re.M)
    cases.same_set("a part for each detector", [s for s in sections], detectors())
    told = {w for part in re.findall(r"^\| (?:word|evidence) \|[^\n]*\n\|[-|]+\|\n((?:\|.*\n)*)", text[:text.index(BEGIN)], re.M)
            for row in re.findall(r"^\| ([a-z0-9-]+(?:, [a-z0-9-]+)*) \|", part, re.M) for w in row.split(", ")}
    cases.check("words that the parts explain are words of evidence", len(told) > 40 and told <= {r[0] for r in rows()},
                len(told), told - {r[0] for r in rows()})
    own = {r[1] for r in rows()} - {""}
    cases.check("evidence belongs to detectors there are", own <= set(detectors()), own - set(detectors()))
    allowed = re.search(r"findings\[\] = \{(.*?)NULL", text_of("src/policy/parse_plan.c"), re.S).group(1)
    cases.same_set("`response` knows the detectors", set(re.findall(r'"(\w+)"', allowed)) - {"any", "c2", "exfil", "intel", "policy"},
                   set(detectors()) - {"intel"})
    return cases.end()


sys.exit(main())
