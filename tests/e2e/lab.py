# SPDX-License-Identifier: Apache-2.0
"""A private network for one test: two network namespaces joined by a veth pair, a cgroup, real servers, a daemon.

    client namespace (watched cgroup)  c0 10.77.0.1, fd77::1  <-->  s0 10.77.0.2, fd77::2  server namespace

All names carry the test's name and pid, so tests run side by side; everything goes at the end, also after a failure or
Ctrl-C. Nothing sleeps for a guess: the code waits for what it needs, with a limit.
"""
import atexit
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
SOURCE = os.environ.get("EGRET_SOURCE", os.path.dirname(os.path.dirname(HERE)))
BUILD = os.environ.get("EGRET_BUILD", os.path.join(SOURCE, "build"))
EGRET = os.path.join(BUILD, "src", "egret")
EGRETD = os.path.join(BUILD, "src", "egretd")
sys.path.insert(0, os.path.join(SOURCE, "tests", "golden"))

import golden                       # noqa: E402  (Cases, check_schema)
import oracle                       # noqa: E402  (the plain packet count)

C4, S4, C6, S6 = "10.77.0.1", "10.77.0.2", "fd77::1", "fd77::2"
ZONE = "lab.example"


def wait_for(what, check, seconds=30):
    """check() until it gives something true; an error that says what was waited for."""
    end = time.monotonic() + seconds
    while True:
        got = check()
        if got:
            return got
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.02)


def must(*argv, **kw):
    return subprocess.run(argv, check=True, capture_output=True, text=True, **kw).stdout


def cgroup2_mount():
    with open("/proc/self/mounts", encoding="utf-8") as f:
        for line in f:
            if line.split()[2] == "cgroup2":
                return line.split()[1]
    return None


def need(cases, *tools):
    """Exit status 77 unless run as root with these tools."""
    why = None
    if os.geteuid():
        why = "needs root"
    elif not cgroup2_mount():
        why = "no cgroup v2 is mounted"
    for tool in ("ip", "tcpdump", *tools):
        if not why and not shutil.which(tool):
            why = f"no {tool} here"
    if why:
        cases.skip(os.path.basename(sys.argv[0]), why)
        sys.exit(cases.end())


class Lab:
    def __init__(self, name, mtu=1500):
        self.name = f"eg{name}{os.getpid()}"
        self.client, self.server = self.name + "c", self.name + "s"
        self.children, self.extra_ns, self.cgroups, self.pins = [], [], [], set()
        self.tmp = tempfile.mkdtemp(prefix=self.name + ".")
        atexit.register(self.close)
        for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signo, lambda *_: sys.exit(1))
        self.cgroup = self.make_cgroup(self.name)
        self.add_ns(self.client)
        self.add_ns(self.server)
        must("ip", "link", "add", "c0", "netns", self.client, "mtu", str(mtu), "type", "veth",
             "peer", "name", "s0", "netns", self.server, "mtu", str(mtu))
        for ns, dev, v4, v6 in ((self.client, "c0", C4, C6), (self.server, "s0", S4, S6)):
            must("ip", "-n", ns, "addr", "add", v4 + "/24", "dev", dev)
            must("ip", "-n", ns, "addr", "add", v6 + "/64", "dev", dev, "nodad")
            must("ip", "-n", ns, "link", "set", "lo", "up")
            must("ip", "-n", ns, "link", "set", dev, "up")
        self.resolv = os.path.join(self.tmp, "resolv.conf")
        with open(self.resolv, "w", encoding="ascii") as f:
            f.write(f"nameserver {S4}\noptions timeout:2 attempts:2\n")

    # --- what must go again ---------------------------------------------------------------------------------------

    def add_ns(self, ns):
        must("ip", "netns", "add", ns)
        self.extra_ns.append(ns)
        # source ports that tests name are not given to others
        must("ip", "netns", "exec", ns, "sysctl", "-qw", "net.ipv4.ip_local_reserved_ports=40000-44999")

    def make_cgroup(self, name):
        path = os.path.join(cgroup2_mount(), name)
        os.makedirs(path)
        self.cgroups.append(path)
        return path

    def close(self):
        atexit.unregister(self.close)
        for child in reversed(self.children):
            if child.poll() is None:
                child.terminate()
        for child in reversed(self.children):
            try:
                child.wait(3)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for pin in self.pins:
            for path in glob.glob(f"/sys/fs/bpf/egret/*/{pin}"):
                shutil.rmtree(path)
        for path in reversed(self.cgroups):
            self.empty_cgroup(path)
        for ns in self.extra_ns:
            subprocess.run(["ip", "netns", "del", ns], capture_output=True)
        shutil.rmtree(self.tmp, ignore_errors=True)

    def empty_cgroup(self, path):
        """Ends what a test left in its cgroup, then removes it with everything below."""
        if not os.path.isdir(path):
            return
        kill = os.path.join(path, "cgroup.kill")
        if os.path.exists(kill):
            with open(kill, "w", encoding="ascii") as f:
                f.write("1")
        for folder, _, _ in os.walk(path, topdown=False):
            end = time.monotonic() + 5
            while time.monotonic() < end:
                try:
                    os.rmdir(folder)
                    break
                except OSError:
                    time.sleep(0.02)

    def empty_processes(self):
        """Ends all that runs in the watched cgroup."""
        path = os.path.join(self.cgroup, "cgroup.kill")
        with open(path, "w", encoding="ascii") as f:
            f.write("1")
        wait_for("the cgroup to be empty", lambda: not open(os.path.join(self.cgroup, "cgroup.procs")).read().strip())

    # --- processes ------------------------------------------------------------------------------------------------

    def _popen(self, argv, ns, cgroup, **kw):
        procs = os.path.join(cgroup, "cgroup.procs") if cgroup else None

        def enter():
            if procs:
                with open(procs, "w", encoding="ascii") as f:
                    f.write("0")
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)

        if ns:
            # Not `ip netns exec`: that mounts a new /sys, without the cgroups that egret needs.
            argv = ["nsenter", f"--net=/run/netns/{ns}", "unshare", "-m", "sh", "-c",
                    'mount --bind "$0" /etc/resolv.conf && exec "$@"', self.resolv, *argv]
        child = subprocess.Popen(argv, preexec_fn=enter, cwd=self.tmp, **kw)
        self.children.append(child)
        return child

    def run(self, *argv, timeout=90, watched=True, ns=None, cgroup=None, stdin=None, check=True):
        """A command in the client namespace, in the watched cgroup; its output as text."""
        child = self._popen(list(map(str, argv)), ns or self.client, cgroup or (self.cgroup if watched else None),
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out, _ = child.communicate(stdin, timeout=timeout)
        text = out.decode("utf-8", "replace")
        if check and child.returncode:
            raise RuntimeError(f"{argv[0]} gave {child.returncode}: {text[-1500:]}")
        return text

    def say(self, child, line):
        """A line to a process that was started with stdin=True."""
        child.stdin.write(line.encode() + b"\n")
        child.stdin.close()

    def start(self, *argv, ns=None, watched=False, cgroup=None, ready=None, log=None, stdin=False):
        """A process that stays, by default a server in the server namespace. ready: () -> true once it serves."""
        path = os.path.join(self.tmp, log or f"{os.path.basename(argv[0])}.{len(self.children)}.log")
        with open(path, "wb") as out:
            child = self._popen(list(map(str, argv)), ns or self.server,
                                cgroup or (self.cgroup if watched else None),
                                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL, stdout=out,
                                stderr=subprocess.STDOUT)
        child.log = path

        def up():
            if child.poll() is not None:
                with open(path, encoding="utf-8", errors="replace") as f:
                    raise RuntimeError(f"{argv[0]} ended with {child.returncode}: {f.read()[-1500:]}")
            return ready(child) if ready else True

        wait_for(f"{argv[0]} to serve", up)
        return child

    def stop(self, child, signo=signal.SIGTERM):
        if child.poll() is None:
            child.send_signal(signo)
        return child.wait(20)

    def python(self, code, *args, **kw):
        """Python code as a program of its own in the watched cgroup."""
        return self.run("/usr/bin/python3", "-c", code, *args, **kw)

    # --- servers --------------------------------------------------------------------------------------------------

    def listens(self, proto, port, ns=None):
        out = must("ip", "netns", "exec", ns or self.server, "ss", "-H", "-ln" + proto)
        return re.search(rf"[:\]]{port}\s", out) is not None

    def nginx(self, names=f"DNS:*.{ZONE},DNS:{ZONE}"):
        key, crt = os.path.join(self.tmp, "key.pem"), os.path.join(self.tmp, "crt.pem")
        must("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-keyout", key, "-out", crt, "-days", "2", "-subj", "/CN=" + ZONE,
             "-addext", f"subjectAltName={names}")
        os.makedirs(os.path.join(self.tmp, "www"), exist_ok=True)
        with open(os.path.join(self.tmp, "www", "index.html"), "w", encoding="ascii") as f:
            f.write("hello\n")
        with open(os.path.join(self.tmp, "www", "big"), "wb") as f:
            f.truncate(20_000_000)
        conf = os.path.join(self.tmp, "nginx.conf")
        dirs = " ".join(f"{kind}_temp_path {self.tmp}/{kind};" for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(conf, "w", encoding="ascii") as f:
            f.write(f"user root; daemon off; master_process off; pid {self.tmp}/nginx.pid; error_log stderr;\n"
                    f"events {{}}\nhttp {{ access_log off; {dirs} root {self.tmp}/www;\n"
                    f"server {{ listen 80; listen [::]:80; listen 8080 http2; listen 443 ssl http2; listen [::]:443 ssl http2;\n"
                    f"ssl_certificate {crt}; ssl_certificate_key {key}; }} }}\n")
        os.chmod(self.tmp, 0o755)
        return self.start("nginx", "-c", conf, ready=lambda _: self.listens("t", 443))

    def dnsmasq(self, *more):
        return self.start("dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--log-facility=-",
                          "--user=root", f"--pid-file={self.tmp}/dnsmasq.pid", "--bind-interfaces", "-i", "s0",
                          f"--host-record=www.{ZONE},{S4},{S6}", f"--host-record=edge.{ZONE},{S4}",
                          f"--host-record=quic.{ZONE},{S4}", f"--host-record=quic6.{ZONE},{S6}",
                          f"--cname=alias.{ZONE},edge.{ZONE}", f"--cname=alias2.{ZONE},alias.{ZONE}",
                          f"--txt-record=txt.{ZONE},hello", f"--local=/{ZONE}/", "--local-ttl=60", *more,
                          ready=lambda _: self.listens("u", 53) and self.listens("t", 53))

    def small_server(self, what, port, udp=False, *more):
        """See servers.py: sink, echo, source, reset or c2."""
        return self.start("/usr/bin/python3", os.path.join(HERE, "servers.py"), what, "udp" if udp else "tcp", port, *more,
                          ready=lambda _: self.listens("u" if udp else "t", port))

    def sink(self, port, udp=False):
        return self.small_server("sink", port, udp)

    def echo(self, port, udp=False):
        return self.small_server("echo", port, udp)

    def late_server(self, port):
        return self.start("/usr/bin/python3", os.path.join(HERE, "late_server.py"), port, ready=lambda _: self.listens("t", port))

    def dropbear(self, port=2222):
        """An SSH server where root may log in with a key of the lab's; the ssh command that does, but for the host."""
        home, key = os.path.join(self.tmp, "home"), os.path.join(self.tmp, "ssh_key")
        os.makedirs(os.path.join(home, ".ssh"), mode=0o700)
        host = os.path.join(self.tmp, "ssh_host")
        must("dropbearkey", "-t", "ed25519", "-f", host)
        must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        shutil.copy(key + ".pub", os.path.join(home, ".ssh", "authorized_keys"))
        self.start("sh", "-c", f"mount --bind {home} /root && chmod 700 /root && exec dropbear -F -E -r {host} -p {port} "
                   f"-P {self.tmp}/dropbear.pid", ready=lambda _: self.listens("t", port), log="dropbear.log")
        return (f"ssh -p {port} -i {key} -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
                "-o LogLevel=ERROR")

    # --- what is measured -----------------------------------------------------------------------------------------

    def wait_quiet(self, seconds=10, ns=None):
        """Until no TCP socket of the client, or in `ns`, still has something to say (TIME-WAIT is over for all but the timer)."""
        wait_for("connections to end", lambda: not must(
            "ip", "netns", "exec", ns or self.client, "ss", "-Htn", "state", "connected", "exclude", "time-wait"), seconds)

    def daemon(self, **kw):
        return Daemon(self, **kw)

    def capture(self, name="wire.pcap", snaplen=256):
        """On the client's end. A short snaplen, where only headers are looked at, makes room for more packets."""
        return Capture(self, "c0", self.client, os.path.join(self.tmp, name), snaplen)


# Not in flow records and so not captured: neighbour discovery, which is the kernel's own, and ICMP errors, which no
# socket sends or receives as packets (docs/limits.md).
CAPTURED = ("not arp and not (icmp[icmptype] == icmp-unreach or icmp[icmptype] == icmp-timxceed) and "
            "not (icmp6 and (ip6[40] < 128 or (ip6[40] >= 130 and ip6[40] <= 143)) or (ip6[6] == 0))")
MARK_PORT = 9
MARK = b"the capture may end here"


class Capture:
    """tcpdump on one end of the pair, from before the traffic until stop()."""

    def __init__(self, lab, dev, ns, path, snaplen):
        self.lab, self.path = lab, path

        def listening(child):
            with open(child.log, encoding="utf-8", errors="replace") as f:
                return "listening on" in f.read()

        self.child = lab.start("tcpdump", "-i", dev, "-w", path, "-s", snaplen, "-B", "262144", "-U",
                               "--immediate-mode", "-n", CAPTURED, ns=ns, ready=listening)

    def written(self):
        with open(self.path, "rb") as f:
            f.seek(max(0, os.path.getsize(self.path) - 65536))
            return MARK in f.read()

    def stop(self):
        """The flows of the capture as the oracle counts them. Ends only when tcpdump has written all up to a mark."""
        self.lab.python("import socket,sys\nsocket.socket(socket.AF_INET,socket.SOCK_DGRAM)"
                        f".sendto({MARK!r},('{S4}',{MARK_PORT}))", watched=False)
        wait_for("tcpdump to catch up", self.written, 30)
        self.lab.stop(self.child, signal.SIGINT)
        with open(self.child.log, encoding="utf-8", errors="replace") as f:
            text = f.read()
        dropped = re.search(r"(\d+) packets? dropped by kernel", text)
        if not dropped or int(dropped.group(1)):
            raise RuntimeError(f"tcpdump lost packets: {text}")
        flows = oracle.count(self.path)[0]
        return {k: f for k, f in flows.items() if all(port != MARK_PORT for _, port in k[1])}


class Daemon:
    """egretd watching the lab's cgroup, with a run folder and eve.json of its own."""

    def __init__(self, lab, cgroup=None, build=None, conf="", start=True):
        self.lab = lab
        self.run_dir = tempfile.mkdtemp(prefix="run.", dir=lab.tmp)
        self.eve = os.path.join(self.run_dir, "eve.json")
        self.conf = os.path.join(self.run_dir, "egret.conf")
        path = "/" + os.path.relpath(cgroup or lab.cgroup, cgroup2_mount())
        defaults = [f"{word} off\n" for word in ("page", "store", "policy") if f"{word} " not in conf]
        with open(self.conf, "w", encoding="ascii") as f:
            f.write(f'watch host\ncgroup "{path}"\nrun "{self.run_dir}"\nstate "{self.run_dir}/state"\n'
                    f'eve "{self.eve}"\n{"".join(defaults)}{conf}')
        self.child, self.starts = None, 0
        if start:
            self.start()

    def inside(self, *argv):
        """The command where the daemon lives."""
        return list(argv)

    def start(self):
        argv = self.inside(EGRETD, "--foreground", "-c", self.conf)
        self.starts += 1
        self.log = os.path.join(self.run_dir, f"log.{self.starts}")
        with open(self.log, "ab") as out:
            self.child = self.lab._popen(argv, None, None, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

        def watching():
            if self.child.poll() is not None:
                raise RuntimeError(f"egretd ended with {self.child.returncode}: {self.messages()}")
            return "watching" in self.messages() and os.path.exists(os.path.join(self.run_dir, "egret.sock"))

        wait_for("egretd to watch", watching)
        # other tests run beside this one: what is pinned goes by its own name when all is over, never by `egret disarm`
        self.pin = json.loads(self.egret("status", "--json").stdout)["pin"]
        self.lab.pins.add(self.pin)

    def messages(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self, signo=signal.SIGTERM):
        return self.lab.stop(self.child, signo)

    def records(self, path=None):
        with open(path or self.eve, encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    def lines(self):
        with open(self.eve, "rb") as f:
            return f.read().splitlines()

    def wait_record(self, what, match, seconds=30):
        """The first record of eve.json that matches."""
        def look():
            with open(self.eve, encoding="utf-8") as f:
                for line in f:
                    if line.endswith("\n"):
                        r = json.loads(line)
                        if match(r):
                            return r
            return None
        return wait_for(what, look, seconds)

    def findings(self, *argv):
        """What `egret findings --json --low` says, as records."""
        out = self.egret("findings", "--json", "--low", *argv).stdout
        return [r for r in map(json.loads, out.splitlines()) if r.get("event_type") == "alert"]

    def told(self, match, seconds):
        """(seconds it took, text) of the first finding in the daemon's own log that matches; None after `seconds`."""
        begin, text = time.monotonic(), None
        while not text and time.monotonic() - begin < seconds:
            text = next((x for x in self.messages().splitlines() if "finding " in x and match in x), None)
            time.sleep(0.01)
        return text and (time.time(), text)

    def kill(self):
        self.child.kill()
        self.child.wait()

    def egret(self, *argv, timeout=60, env=None):
        return subprocess.run(self.inside(EGRET, "--run", self.run_dir, *argv), capture_output=True, text=True,
                              timeout=timeout, env=env and dict(os.environ, **env))


# --- comparing --------------------------------------------------------------------------------------------------------

PROTO = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "IPv6-ICMP", 132: "SCTP"}


def last_flows(records):
    """The last record of each flow, by its id."""
    return list({r["flow_id"]: r for r in records if r["event_type"] == "flow"}.values())


def key_of(r):
    a, b = golden.ends(r)
    if r["proto"] not in ("TCP", "UDP", "SCTP"):
        a, b = (a[0], 0), (b[0], 0)
    return r["proto"], frozenset((a, b))


def compare_counts(cases, name, records, wire, only=None):
    """Packets and bytes of every flow on the wire, both ways, equal to the records'. `only`: a protocol."""
    got = {}
    for r in last_flows(records):
        first, packets, size = got.setdefault(key_of(r), (golden.ends(r)[0], [0, 0], [0, 0]))
        f = r["flow"]
        up = 0 if first == golden.ends(r)[0] else 1
        for total, pair in ((packets, ("pkts_toserver", "pkts_toclient")), (size, ("bytes_toserver", "bytes_toclient"))):
            total[up] += f[pair[0]]
            total[1 - up] += f[pair[1]]
    want = {(PROTO.get(p, str(p)), ends): f for (p, ends), f in wire.items()}
    if only:
        got = {k: v for k, v in got.items() if k[0] == only}
        want = {k: v for k, v in want.items() if k[0] == only}
    ok = cases.same_set(f"{name}: the same {len(want)} flows as on the wire", got, want)
    wrong = []
    for key in set(got) & set(want):
        first, packets, size = got[key]
        f = want[key]
        # ICMP and the like have no ports: the side is told by the address.
        order = (0, 1) if f.src[0] == first[0] and (f.src[1] == first[1] or not f.src[1]) else (1, 0)
        expect = [f.packets[i] for i in order], [f.bytes[i] for i in order]
        if (packets, size) != expect:
            wrong.append(f"{key}: egret {packets} {size}, wire {expect[0]} {expect[1]}; flags {f.flags}")
    return cases.check(f"{name}: packets and bytes as on the wire", not wrong and want, *wrong[:8]) and ok


def agree(cases, name, policy, eve, at_least=1):
    """Every verdict that the kernel told, in the records of `eve`, is what `egret policy replay` says of the same flow."""
    done = subprocess.run([EGRET, "policy", "replay", "--agree", "--all", policy, eve], capture_output=True, text=True,
                          timeout=120)
    counts = re.search(r"^([0-9,]+) verdicts compared, ([0-9,]+) differ$", done.stdout, re.M)
    compared = int(counts.group(1).replace(",", "")) if counts else 0
    return cases.check(f"{name}: replay agrees with the kernel on {compared} verdicts",
                       done.returncode == 0 and compared >= at_least, done.stdout[-3000:], done.stderr[-1000:])
