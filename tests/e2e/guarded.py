# SPDX-License-Identifier: Apache-2.0
"""egretd with a bpf file system of its own, in a mount namespace that outlives it, so that what it pins is nobody else's."""
import json
import os
import subprocess
import tempfile

import lab
from lab import S4

# One connection a call: "ok", or the name of the error.
CONNECT = """
import errno, socket, sys
def one(host, port):
    s = socket.socket()
    s.settimeout(float(sys.argv[3]) if len(sys.argv) > 3 else 5)
    try:
        s.connect((host, port))
        s.sendall(b"x")
        return "ok"
    except TimeoutError:
        return "timeout"
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e))
    finally:
        s.close()
print(one(sys.argv[1], int(sys.argv[2])))
"""


class Guarded(lab.Daemon):
    """`policy` is the statement of egret.conf, FILE in it the file of write(); `conf` more of it; `ns`: a network namespace;
    `host`: what the machine calls itself, in a UTS namespace of its own."""

    def __init__(self, n, policy="policy off", conf="", ns=None, start=False, host=None, cgroup=None):
        self.mounts = subprocess.Popen(["unshare", "-m", *(["--uts"] if host else []), "sh", "-c",
                                        (f"hostname {host} && " if host else "") +
                                        "mkdir -p /sys/fs/bpf && mount -t bpf bpf /sys/fs/bpf && echo ready && exec sleep 900"],
                                       stdout=subprocess.PIPE, text=True)
        n.children.append(self.mounts)
        assert self.mounts.stdout.readline() == "ready\n"
        self.net = [f"--net=/run/netns/{ns}"] if ns else []
        if host:
            self.net.append(f"--uts=/proc/{self.mounts.pid}/ns/uts")
        self.policy_file = os.path.join(tempfile.mkdtemp(dir=n.tmp), "policy.egret")
        super().__init__(n, cgroup=cgroup, conf=f'{policy.replace("FILE", self.policy_file)}\n{conf}', start=start)

    def inside(self, *argv):
        return ["nsenter", f"--mount=/proc/{self.mounts.pid}/ns/mnt", *self.net, *argv]

    def write(self, text):
        with open(self.policy_file, "w", encoding="utf-8") as f:
            f.write(text)

    def load(self, text, *options, **kw):
        path = os.path.join(self.run_dir, "loaded.egret")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return self.egret("policy", "load", *options, path, **kw)

    def show(self):
        return json.loads(self.egret("policy", "show", "--json").stdout)

    def rule(self, text):
        """The row of `policy show` for the rule with this text."""
        return next((r for r in self.show()["rules"] if r["text"].startswith(text)), {})

    def pins(self):
        """All that is left below egret's folder; none when the folder is gone."""
        out = subprocess.run(self.inside("find", "/sys/fs/bpf/egret", "!", "-type", "d"), capture_output=True,
                             text=True)
        return out.stdout.split()


def connect(n, port, host=S4, seconds=5):
    return n.python(CONNECT, host, port, seconds).strip()
