#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Damaged captures and logs: never a crash, never a hang, never more memory than allowed, always what was readable.

Every input is cut at many lengths and has bytes changed by a seeded generator. A sanitizer's report counts as a crash.
"""
import glob
import os
import random
import struct
import subprocess
import sys
import tempfile

import golden

SEED = 20240611
SECONDS = 20
SANITIZED = os.path.basename(golden.BUILD.rstrip("/")).endswith("asan")
MEMORY_KB = None if SANITIZED else 1 << 20           # sanitizers reserve the address space for themselves
CUTS, FLIPS = (5, 8) if SANITIZED else (8, 16)

SHARED = ("arkime/tls-split-client-hello.pcap", "ndpi/doq.pcapng", "ndpi/tls_ech.pcapng", "zeek-btest/wikipedia.pcap",
          "ja4-foxio/gre-sample.pcap", "suricata-verify/quic-v2/input.pcap", "ndpi/bad-dns-traffic.pcap",
          "zeek-logs/test10-mixed-zeek-dir/conn.log", "zeek-logs/rita-proxy/ssl.log",
          "c2-otrf-apt29/zeek-day1/NASHUA_conn.log.gz")


class Runner:
    def __init__(self, cases):
        self.cases = cases
        self.tmp = tempfile.mkdtemp(prefix="egret-hostile.")
        self.path = os.path.join(self.tmp, "input")

    def run(self, what, data):
        """One damaged input; True when egret stayed upright."""
        with open(self.path, "wb") as f:
            f.write(data)
        argv = [golden.EGRET, "read", "--json", self.path]
        if MEMORY_KB:
            argv = ["bash", "-c", f'ulimit -v {MEMORY_KB} && exec "$@"', "bash", *argv]
        try:
            done = subprocess.run(argv, capture_output=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return self.keep(what, data, "hangs")
        err = done.stderr.decode("utf-8", "replace")
        if done.returncode not in (0, 1) or "ERROR: AddressSanitizer" in err or "runtime error" in err:
            return self.keep(what, data, f"exit {done.returncode}: {err[-600:]}")
        if done.returncode == 1 and done.stdout.count(b'"event_type":"flow"'):
            return self.keep(what, data, f"exit 1 although flows were read: {err[-300:]}")
        self.lines += done.stdout.splitlines()
        return True

    def keep(self, what, data, why):
        path = os.path.join(self.tmp, what.replace("/", "_").replace(" ", "-"))
        with open(path, "wb") as f:
            f.write(data)
        self.bad.append(f"{what}: {why} (input kept as {path})")
        return False

    def one(self, name, data):
        rng = random.Random(f"{SEED} {name}")
        self.bad, self.lines = [], []
        for i in range(CUTS):
            at = rng.randrange(len(data)) if i else 20
            self.run(f"{name} cut {at}", data[:at])
        for i in range(FLIPS):
            changed = bytearray(data)
            for _ in range(1 + i * i // 4):
                # Half of the changes hit the first 4 KB, where headers are.
                at = rng.randrange(min(len(data), 4096) if rng.random() < 0.5 else len(data))
                changed[at] = rng.choice((0, 0xFF, 0x80, rng.randrange(256)))
            self.run(f"{name} flip {i}", bytes(changed))
        self.cases.check(f"{name}: {CUTS} cuts and {FLIPS} changes", not self.bad, *self.bad[:5])
        golden.check_schema(self.cases, f"{name}, damaged", self.lines)

    def end(self):
        os.unlink(self.path)
        if not os.listdir(self.tmp):
            os.rmdir(self.tmp)


def absurd():
    """Inputs that only an enemy writes."""
    pcap = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    ng = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    yield "pcap: record of 4 GB", pcap + struct.pack("<IIII", 1, 0, 0xFFFFFFF0, 0xFFFFFFF0) + b"x" * 100
    # Each level may be read with and without a control word: two to the power of 60 ways, if one tried them all.
    level = bytes(8) + b"\x88\x47\0\0" + b"\x88\x47" + b"\0\1\1\x40" + bytes(4)
    nested = level * 60 + bytes(12) + b"\xff\xff"
    yield "pcap: Ethernet in MPLS in Ethernet, 60 deep", pcap + struct.pack("<IIII", 1, 0, len(nested), len(nested)) + nested
    yield "pcap: record of 0 bytes, many times", pcap + struct.pack("<IIII", 1, 0, 0, 0) * 100000
    yield "pcap: link type nobody knows", struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 0xABCD) + bytes(200)
    yield "pcapng: block of 4 GB", ng + struct.pack("<II", 6, 0xFFFFFFFC) + b"x" * 64
    yield "pcapng: block of 0 bytes", ng + struct.pack("<II", 6, 0) + b"x" * 64
    yield "pcapng: packet of an interface that is not there", ng + struct.pack("<IIIIIIII", 6, 32, 9, 0, 0, 0, 0, 32)
    yield "pcapng: 100,000 interfaces", ng + struct.pack("<IIHHII", 1, 20, 1, 0, 0, 20) * 100000
    yield "log: a line of 20 MB", b"#fields\tts\tuid\n" + b"x" * (20 << 20)
    yield "log: a million open brackets", b'{"ts":' + b"[" * 1000000
    yield "log: JSON of nothing", b"{}\n" * 100000
    yield "gzip: nothing behind the header", b"\x1f\x8b\x08\0\0\0\0\0\0\3"
    bomb = subprocess.run(["bash", "-c", "head -c 2G /dev/zero | gzip -1"], capture_output=True, check=True).stdout
    yield "gzip: 2 GB of zeros", bomb
    yield "zstd: nothing behind the header", b"\x28\xb5\x2f\xfd"


def endless(cases):
    """More flows at once than the table holds: the idlest go early and are counted, memory stays where it was."""
    n = 400000
    record = struct.pack("<IIII", 1, 0, 42, 42)
    head = b"\2\0\0\0\0\2\2\0\0\0\0\1\x08\0\x45\0\0\x1c\0\1\x40\0\x40\x11\0\0"
    pcap = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    for i in range(n):
        pcap.append(record + head + struct.pack(">I", 0x0A000000 + i) + b"\xc6\x33\x64\7\x30\x39\0\x35\0\x08\0\0")
    with open("/dev/null", "wb") as null, tempfile.TemporaryFile() as f:
        f.write(b"".join(pcap))
        f.seek(0)
        child = subprocess.Popen([golden.EGRET, "read", "--quiet", "-"], stdin=f, stdout=subprocess.PIPE, stderr=null)
        out = child.stdout.read().decode()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    cases.check(f"{n} flows at once: all packets read", child.returncode == 0 and f"{n:,} packets" in out, out[-400:])
    cases.check(f"{n} flows at once: what was pushed out is counted", "table-flows" in out, out[-400:])
    if not SANITIZED:
        cases.check(f"{n} flows at once: bounded memory", usage.ru_maxrss < 450 << 10, f"{usage.ru_maxrss} KiB")


def main():
    cases = golden.Cases()
    runner = Runner(cases)
    own = sorted(glob.glob(os.path.join(golden.HERE, "captures", "*")))
    picked = [p for p in own if os.path.basename(p).split(".")[0] in (
        "encap-qinq", "encap-vxlan", "encap-sll2", "fragments", "split-hellos", "http", "starttls", "dns", "tcp",
        "protocols", "form-ng-two-links", "form-gzip")]
    for path in picked:
        with open(path, "rb") as f:
            runner.one(os.path.basename(path), f.read())
    for name in SHARED:
        path = golden.data(name)
        if not path:
            cases.skip(name, "not in the shared data")
            continue
        with open(path, "rb") as f:
            runner.one(name, f.read())
    for what, data in absurd():
        runner.bad, runner.lines = [], []
        runner.run(what, data)
        cases.check(what, not runner.bad, *runner.bad)
    endless(cases)
    runner.end()
    return cases.end()


sys.exit(main())
