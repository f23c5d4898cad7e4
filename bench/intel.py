#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An index of 1 and 10 million indicators: size, building, questions; beside a hash table, and grep -F for the small one.

Usage: intel.py [INDICATORS...]
"""
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

import results

SIZES = (1_000_000, 10_000_000)
LIMIT_MB, LIMIT_NS = 130, 250
GREP_LINES = 100_000


def grep(folder, n):
    """A host name a line, looked for among the listed names: the plainest way to match a list. Seconds, MB."""
    names, asked = os.path.join(folder, "names"), os.path.join(folder, "asked")
    with open(os.path.join(folder, "plain.txt"), encoding="ascii") as f, open(names, "w", encoding="ascii") as out:
        found = [line.split()[0] + "\n" for line in f if ".example" in line and not line.startswith("http")]
        out.writelines(found)
    with open(asked, "w", encoding="ascii") as f:
        f.writelines(line if i % 2 else "q" + line for i, line in enumerate(found[:GREP_LINES]))
    before = time.monotonic()
    done = subprocess.run(["grep", "-c", "-x", "-F", "-f", names, asked], capture_output=True, text=True, check=True)
    took = time.monotonic() - before
    if int(done.stdout) < min(GREP_LINES, len(found)) // 2:
        sys.exit("grep found less than it was given")
    return (f"`grep -c -x -F -f` with the {len(found):,} names of the {n:,} indicators and {min(GREP_LINES, len(found)):,} lines: "
            f"{took:.1f} s, {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MiB at the most.")


def measure(n):
    with tempfile.TemporaryDirectory(prefix="egret-bench.") as folder:
        out = subprocess.run([os.path.join(results.BUILD, "bench", "bench-intel"), folder, str(n)], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
        beside = grep(folder, n) if n <= SIZES[0] else ""
    return [json.loads(line) for line in out.splitlines()], beside


def main():
    sizes, asked, said, over = [], [], [], []
    for n in [int(a) for a in sys.argv[1:]] or SIZES:
        rows, beside = measure(n)
        one = {r["row"]: r for r in rows if r["row"] != "question"}
        sizes.append((f"{n:,}", f"{one['open']['file_mb']:.1f}", f"{one['open']['resident_mb']:.1f}", f"{one['peer']['mb']:.1f}",
                      f"{one['build']['s']:.1f}", f"{one['build']['peak_mb']:.0f}", f"{one['open']['quick_ms']:.2f}",
                      f"{one['open']['checked_ms']:.0f}"))
        if one["open"]["file_mb"] > LIMIT_MB:
            over.append(f"{n:,}: {one['open']['file_mb']} MB")
        for r in (r for r in rows if r["row"] == "question"):
            what = f"{r['of']}, {'listed' if r['hit'] else 'not listed'}{', cold' if r['cold'] else ''}"
            asked.append((f"{n:,}", what, f"{r['ns']:.0f}", f"{r['peer_ns']:.0f}"))
            if r["ns"] > LIMIT_NS:
                over.append(f"{n:,}, {what}")
        if beside:
            said.append(beside)
    text = (f"Mixed indicators (55 % names, 35 % addresses, 7 % URLs, the rest certificates and ranges), built from three feeds "
            f"of text. Asked for: at most {LIMIT_MB} MB and {LIMIT_NS} ns a question. " +
            (f"NOT kept by: {'; '.join(over)}." if over else "Kept by all.") + "\n\n" +
            results.table(("indicators", "file, MB", "resident (shared), MB", "hash table, MB", "build, s", "build, peak MB",
                           "open, ms", "open with checksum, ms"), sizes) +
            "\n\nCPU nanoseconds a question. Cold: every line of the snapshot, or table, was flushed from the caches before each "
            "10,000. The table answers only whether a hash is there; the index also ports, what is above a name, records, and "
            "what takes a hit back.\n\n" +
            results.table(("indicators", "question", "egret", "hash table"), asked) + "\n\n" + "\n".join(said))
    results.write("intel", "Threat intelligence", text, "./dev bench intel")


if __name__ == "__main__":
    sys.exit(main())
