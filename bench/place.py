# SPDX-License-Identifier: Apache-2.0
"""A network namespace and a cgroup for a live benchmark, an egretd on it, and the end of it all."""
import os
import re
import sys

import results

sys.path.insert(0, os.path.join(results.SOURCE, "tests", "e2e"))

import lab  # noqa: E402

TRAFFIC = os.path.join(results.BUILD, "bench", "bench-traffic")
PINNED = ("taskset", "-c", "0", TRAFFIC)


class Place(lab.Lab):
    """The lab of the end-to-end tests; only loopback of its client namespace is used."""

    def __init__(self, name):
        super().__init__(name)
        lab.must("ip", "-n", self.client, "addr", "add", "198.18.0.1/16", "dev", "lo")

    def traffic(self, *args):
        """Runs it in the watched cgroup; what it printed."""
        return self.run(*PINNED, *args, timeout=600)

    def block(self, kind, ms):
        """One block of work by a process of its own: CPU ns and ns of a unit, p50 of connect() in ns."""
        return [float(v) for v in self.traffic("cost", kind, ms).split()]

    def start_traffic(self, *args, watched=True):
        """A sink or a holder; ends when its stdin does (say())."""
        def is_open(child):
            with open(child.log, encoding="ascii", errors="replace") as f:
                return "open" in f.read()

        return self.start(TRAFFIC, *args, ns=self.client, watched=watched, stdin=True, ready=is_open)

    def sysctl(self, **values):
        for key, value in values.items():
            lab.must("ip", "netns", "exec", self.client, "sysctl", "-qw", f"net.ipv4.{key}={value}")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid):
    """Without the maps of BPF programs that are mapped in: those are counted as the kernel's."""
    total, ours = 0, True
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as f:
        for line in f:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                ours = "bpf-map" not in line
            elif ours and line.startswith("Rss:"):
                total += int(line.split()[1]) * 1024
    return total
