# SPDX-License-Identifier: Apache-2.0
"""Large lists of addresses and names, which no traffic of a benchmark meets."""
import os

MILLION = 1_000_000


def address(i):
    """The i-th of many that do not join to ranges, in 11.0.0.0 to 200.0.0.0; never one that the traffic goes to."""
    n = (11 << 24) + i * 2477 % (183 << 24)
    return f"{n >> 24}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"


def name(i):
    return f"h{i * 2654435761 % 4294967296:08x}.n{i % 977}.example.com"


def write_list(n, what, make, count):
    path = os.path.join(n.tmp, f"{what}-{count}.txt")
    if not os.path.exists(path):
        with open(path, "w", encoding="ascii") as f:
            f.write("\n".join(map(make, range(count))) + "\n")
    return path
