# SPDX-License-Identifier: Apache-2.0
"""A network namespace and a cgroup for a live benchmark, an egretd on it, and the end of it all."""
import os
import subprocess
import sys
import tempfile

import results

sys.path.insert(0, os.path.join(results.SOURCE, "tests", "e2e"))

import lab  # noqa: E402

TRAFFIC = os.path.join(results.BUILD, "bench", "bench-traffic")
PINNED = ("taskset", "-c", "0", TRAFFIC)


class Place(lab.Lab):
    """The lab of the end-to-end tests; only loopback of its client namespace is used."""

    def traffic(self, *args):
        """Runs it in the watched cgroup; what it printed."""
        return self.run(*PINNED, *args, timeout=600)

    def blocks(self, kind, ms):
        """A process that has its sockets open and waits; each call is one block of work: (CPU ns, ns, connect() p50)."""
        child = self._popen([*PINNED, "cost", kind, str(ms)], self.client, self.cgroup, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)

        def line():
            got = child.stdout.readline()
            if not got:
                raise RuntimeError(f"bench-traffic {kind} ended with {child.wait()}")
            return got

        def block():
            child.stdin.write("\n")
            child.stdin.flush()
            return [float(v) for v in line().split()]

        line()
        return block

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
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
