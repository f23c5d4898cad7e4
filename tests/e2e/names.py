#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Rules by name without a race: 10,000 look-ups, each followed at once by connect() to one of the addresses.

names_server.py answers with addresses that change each time, by the hundred, behind aliases, over TCP, for no time at all;
resolve.c looks up and connects. Nothing that is allowed may be refused, nothing else may pass. Then names that lie: answers
from whom nobody trusts, over loopback, from a network namespace of one's own.
"""
import os
import re
import subprocess
import sys

import lab
from guarded import Guarded
from lab import C4, S4, S6

CASES = lab.golden.Cases()
PORT, ROUNDS, AT_ONCE = 7201, 2500, 4
SERVER = os.path.join(lab.HERE, "names_server.py")
RESOLVE = os.path.join(lab.BUILD, "tests", "e2e", "resolve")
POLICY = f"resolvers {S4}\nallow to **.allowed.test port {PORT}\ndefault deny\n"

# Answers whoever asks that "lie.allowed.test" is the address given; then asks itself. The server may be in the network
# namespace of another process.
LIAR = """
import ctypes, errno, os, socket, sys, threading
at, says, other = sys.argv[1:4]
q = b"\\x12\\x34\\x01\\0\\0\\1\\0\\0\\0\\0\\0\\0\\3lie\\7allowed\\4test\\0\\0\\1\\0\\1"
a = b"\\x12\\x34\\x85\\x80\\0\\1\\0\\1\\0\\0\\0\\0" + q[12:] + b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\1\\0\\0\\4" + socket.inet_aton(says)
own, libc = os.open("/proc/self/ns/net", os.O_RDONLY), ctypes.CDLL(None)
if other != "-":
    assert libc.setns(os.open(f"/proc/{other}/ns/net", os.O_RDONLY), 0) == 0
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((at, 53))
assert libc.setns(own, 0) == 0 or other == "-"
threading.Thread(target=lambda: s.sendto(a, s.recvfrom(512)[1]), daemon=True).start()
c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
c.settimeout(5)
try:
    c.sendto(q, (at, 53))
    c.recv(512)
    print("heard", flush=True)
except OSError as e:
    print("unheard", errno.errorcode.get(e.errno), flush=True)
"""

CONNECT = """
import errno, socket, sys
s = socket.socket()
s.settimeout(5)
try:
    s.connect((sys.argv[1], int(sys.argv[2])))
    s.sendall(b"x")
    print("ok" if s.recv(1) else "closed")
except TimeoutError:
    print("timeout")
except OSError as e:
    print(errno.errorcode.get(e.errno))
"""


def routes(n):
    """Every address of the test's ranges is the server's."""
    lab.must("ip", "-n", n.client, "route", "add", "10.78.0.0/15", "via", S4)
    lab.must("ip", "-n", n.server, "route", "add", "local", "10.78.0.0/15", "dev", "lo")
    for net in ("fd78::/64", "fd79::/64"):
        lab.must("ip", "-n", n.client, "-6", "route", "add", net, "via", S6)
        lab.must("ip", "-n", n.server, "-6", "route", "add", "local", net, "dev", "lo")


def rounds(n, what, many):
    children = [n._popen([RESOLVE, str(many), str(seed), str(PORT)], n.client, n.cgroup, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT) for seed in range(1, AT_ONCE + 1)]
    for i, child in enumerate(children):
        out = child.communicate(timeout=280)[0].decode("utf-8", "replace")
        last = re.search(r"passed (\d+) refused (\d+) wrong (\d+) errors (\d+)", out)
        CASES.check(f"{what}: nothing wrong ({i})", last and last.group(3, 4) == ("0", "0"), out[-1500:])
        CASES.check(f"{what}: all were judged ({i})", last and int(last.group(1)) + int(last.group(2)) == many and
                    int(last.group(1)) > many / 2, out[-300:])


def connect(n, host):
    return n.python(CONNECT, host, PORT).strip()


def lies(n):
    """Each lie names an address of its own; nobody may connect there."""
    told = "10.78.254."
    heard = n.python(LIAR, "127.0.0.1", told + "1", "-")
    CASES.check("a resolver of one's own is heard", "heard" in heard and "unheard" not in heard, heard)
    CASES.equal("and not believed", connect(n, told + "1"), "EPERM")
    # the trusted resolver's own address, put on loopback of the same namespace
    lab.must("ip", "-n", n.client, "addr", "add", S4 + "/32", "dev", "lo")
    heard = n.python(LIAR, S4, told + "2", "-")
    lab.must("ip", "-n", n.client, "addr", "del", S4 + "/32", "dev", "lo")
    CASES.check("its address on loopback is heard", "heard" in heard and "unheard" not in heard, heard)
    CASES.equal("and not believed", connect(n, told + "2"), "EPERM")
    # and in a namespace that anybody may make
    script = ('unshare -n sleep 30 & sleep 0.3; ip link add d0 type veth peer name d1 netns $!; '
              f'ip addr add {C4}/24 dev d0; ip link set d0 up; nsenter -t $! -n ip addr add {S4}/24 dev d1; '
              'nsenter -t $! -n ip link set d1 up; /usr/bin/python3 -c "$0" "$1" "$2" $!; kill $!')
    heard = n.run("unshare", "-Urn", "sh", "-c", script, LIAR, S4, told + "3", check=False)
    CASES.check("in a user's own namespace it is heard", "heard" in heard and "unheard" not in heard, heard)
    CASES.equal("and not believed", connect(n, told + "3"), "EPERM")


def main():
    lab.need(CASES, "nsenter", "unshare")
    n = lab.Lab("nam")
    try:
        routes(n)
        n.start("/usr/bin/python3", SERVER, S4, ready=lambda _: n.listens("u", 53) and n.listens("t", 53))
        n.echo(PORT)
        d = Guarded(n, start=True)
        CASES.equal("the policy is loaded", d.load(POLICY, "--enforce").returncode, 0)
        rounds(n, "10,000 look-ups", ROUNDS)
        lies(n)
        d.kill()
        rounds(n, "without the daemon", 100)
        d.start()
        rounds(n, "with the next daemon", 100)
        d.egret("disarm")
        d.stop()
    except (RuntimeError, TimeoutError, subprocess.SubprocessError, OSError, AssertionError) as e:
        CASES.check("the test itself", False, repr(e))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
