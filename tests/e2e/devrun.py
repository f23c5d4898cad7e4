#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`./dev run`: shows the host with and without a terminal, ends on Ctrl-C, and leaves nothing behind."""
import fcntl
import glob
import os
import pty
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

import lab

CASES = lab.golden.Cases()
COMMAND = ["bash", os.path.join(lab.SOURCE, "dev"), "run"]


def left(tmp):
    """What a run left: its folder, processes that name it."""
    found = glob.glob(os.path.join(tmp, "*"))
    for cmdline in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(cmdline, "rb") as f:
                if tmp.encode() in f.read():
                    found.append(cmdline)
        except OSError:
            pass
    return found


def environment(tmp):
    return {**os.environ, "TMPDIR": tmp, "EGRET_BUILD": lab.BUILD, "TERM": "xterm", "CI": "true"}


def read_until(fd, text, seconds=60):
    """What came from fd up to and with `text`."""
    got, end = b"", time.monotonic() + seconds
    os.set_blocking(fd, False)
    while text not in got:
        if time.monotonic() > end:
            raise TimeoutError(f"no {text!r} in {got[-400:]!r}")
        try:
            got += os.read(fd, 65536) or b""
        except (BlockingIOError, OSError):
            time.sleep(0.02)
    return got


def without_terminal(tmp):
    child = subprocess.Popen(COMMAND, env=environment(tmp), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, start_new_session=True)
    read_until(child.stdout.fileno(), b"(total)")
    read_until(child.stdout.fileno(), b"PROGRAM")           # and again some seconds later
    CASES.check("without a terminal: one private folder while it runs", len(glob.glob(os.path.join(tmp, "egret-run.*"))) == 1)
    os.killpg(child.pid, signal.SIGINT)
    CASES.check("without a terminal: Ctrl-C ends it", child.wait(20) in (0, 130, -signal.SIGINT), child.returncode)


def with_terminal(tmp):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    child = subprocess.Popen(COMMAND, env=environment(tmp), stdin=slave, stdout=slave, stderr=slave,
                             start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    os.close(slave)
    read_until(master, b"PROGRAM")
    os.write(master, b"\x03")
    end = time.monotonic() + 20
    while child.poll() is None and time.monotonic() < end:
        try:
            os.read(master, 65536)
        except (BlockingIOError, OSError):
            time.sleep(0.02)
    CASES.check("on a terminal: Ctrl-C ends it", child.poll() in (0, 130, -signal.SIGINT), child.returncode)
    os.close(master)


def hang_up(tmp):
    """The terminal goes away (a closed ssh connection): nothing goes on alone."""
    master, slave = pty.openpty()
    child = subprocess.Popen(COMMAND, env=environment(tmp), stdin=slave, stdout=slave, stderr=slave,
                             start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    os.close(slave)
    read_until(master, b"PROGRAM")
    os.close(master)
    CASES.check("the terminal hangs up: it ends", child.wait(20) is not None)


def main():
    lab.need(CASES)
    for scenario in (without_terminal, with_terminal, hang_up):
        tmp = tempfile.mkdtemp(prefix="egret-devrun.")
        try:
            scenario(tmp)
            lab.wait_for("everything to be gone", lambda: not left(tmp), 10)
            CASES.check(f"{scenario.__name__}: nothing is left", True)
        except (TimeoutError, subprocess.SubprocessError) as e:
            CASES.check(scenario.__name__, False, repr(e), left(tmp))
        finally:
            subprocess.run(["rm", "-rf", tmp], check=True)
    return CASES.end()


sys.exit(main())
