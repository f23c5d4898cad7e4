# SPDX-License-Identifier: Apache-2.0
"""egretd with a bpf file system of its own, in a mount namespace that outlives it, so that what it pins is nobody else's."""
import json
import os
import signal
import subprocess
import tempfile

import lab
from lab import EGRET, EGRETD, S4

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
    """egretd with a bpf file system of its own; `policy` is the statement of egret.conf."""

    def __init__(self, n, policy="policy off"):
        self.n = n
        self.mounts = subprocess.Popen(["unshare", "-m", "sh", "-c",
                                        "mkdir -p /sys/fs/bpf && mount -t bpf bpf /sys/fs/bpf && echo ready && exec sleep 900"],
                                       stdout=subprocess.PIPE, text=True)
        n.children.append(self.mounts)
        assert self.mounts.stdout.readline() == "ready\n"
        self.lab = n
        self.run_dir = tempfile.mkdtemp(prefix="run.", dir=n.tmp)
        self.eve = os.path.join(self.run_dir, "eve.json")
        self.conf = os.path.join(self.run_dir, "egret.conf")
        self.policy_file = os.path.join(self.run_dir, "policy.egret")
        path = "/" + os.path.relpath(n.cgroup, lab.cgroup2_mount())
        with open(self.conf, "w", encoding="ascii") as f:
            f.write(f'cgroup "{path}"\nrun "{self.run_dir}"\nstate "{self.run_dir}/state"\neve "{self.eve}"\n'
                    f'{policy.replace("FILE", self.policy_file)}\n')
        self.child, self.starts = None, 0

    def inside(self, *argv):
        return ["nsenter", f"--mount=/proc/{self.mounts.pid}/ns/mnt", *argv]

    def start(self):
        self.starts += 1
        self.log = os.path.join(self.run_dir, f"log.{self.starts}")
        with open(self.log, "ab") as out:
            self.child = self.lab._popen(self.inside(EGRETD, "--foreground", "-c", self.conf), None, None,
                                         stdin=subprocess.DEVNULL, stdout=out, stderr=out)

        def watching():
            if self.child.poll() is not None:
                raise RuntimeError(f"egretd ended with {self.child.returncode}: {self.messages()}")
            return "watching" in self.messages() and os.path.exists(os.path.join(self.run_dir, "egret.sock"))

        lab.wait_for("egretd to watch", watching)

    def egret(self, *argv, timeout=60, env=None):
        return subprocess.run(self.inside(EGRET, "--run", self.run_dir, *argv), capture_output=True, text=True,
                              timeout=timeout, env=env and dict(os.environ, **env))

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

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()


def connect(n, port, host=S4, seconds=5):
    return n.python(CONNECT, host, port, seconds).strip()
