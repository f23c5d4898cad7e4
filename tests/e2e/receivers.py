# SPDX-License-Identifier: Apache-2.0
"""What receives what egretd sends: programs outside the lab's namespaces, where egretd itself runs, on the loopback alone."""
import os
import re
import socket
import subprocess

import lab


with open(os.path.join(lab.SOURCE, "docs", "recipes", "send-records-elsewhere.md"), encoding="utf-8") as f:
    RECIPE = f.read()


def recipe_command(program):
    """How docs/recipes/send-records-elsewhere.md calls it: words."""
    return re.search(rf"^    \$ ({program} .*)$", RECIPE, re.M).group(1).split()


def recipe_block(name):
    return re.search(rf"^```{re.escape(name)}\n(.*?)^```", RECIPE, re.M | re.S).group(1)


def free_port(kind=socket.SOCK_DGRAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def is_bound(proto, port):
    """Somebody has that port of 127.0.0.1: proto "udp" or "tcp"."""
    with open(f"/proc/net/{proto}", encoding="ascii") as f:
        return any(line.split()[1] == f"0100007F:{port:04X}" for line in f.readlines()[1:])


def start(n, *argv, ready):
    """A program until the lab ends; .log is where its messages go."""
    path = os.path.join(n.tmp, f"{os.path.basename(argv[0])}.{len(n.children)}.log")
    with open(path, "wb") as out:
        child = n._popen(list(map(str, argv)), None, None, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    child.log = path

    def up():
        if child.poll() is not None:
            raise RuntimeError(f"{argv[0]} ended with {child.returncode}: {messages(child)[-1500:]}")
        return ready()

    lab.wait_for(f"{argv[0]} to serve", up)
    return child


def messages(child):
    with open(child.log, encoding="utf-8", errors="replace") as f:
        return f.read()
