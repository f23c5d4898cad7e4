# SPDX-License-Identifier: Apache-2.0
"""bench/RESULTS.md: one section a benchmark, replaced when it is run again; says on what machine and by what command."""
import os
import platform
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
SOURCE = os.path.dirname(HERE)
BUILD = os.environ.get("EGRET_BUILD", os.path.join(SOURCE, "build"))
RESULTS = os.environ.get("EGRET_RESULTS", os.path.join(HERE, "RESULTS.md"))
HEAD = """# Measured

Made by `./dev bench`. The machines are shared and noisy: read the ratios, which come from alternating runs, not the
absolute figures.
"""


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = re.search(r"^model name\s*: (.*)$", f.read(), re.M)
    with open("/proc/meminfo", encoding="utf-8") as f:
        kb = int(re.search(r"MemTotal:\s+(\d+)", f.read()).group(1))
    with open("/etc/os-release", encoding="utf-8") as f:
        distro = re.search(r'^PRETTY_NAME="(.*)"', f.read(), re.M)
    return (f"{model.group(1) if model else platform.machine()}, {os.cpu_count()} CPUs, {kb / 1048576:.0f} GiB, "
            f"Linux {platform.release().split('-')[0]}, {distro.group(1) if distro else 'unknown distribution'}")


def versions(*packages):
    """Debian's packages of the tools, with the upstream part of their versions."""
    out = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\\n", *packages], capture_output=True, text=True,
                         check=True).stdout
    return "Versions: " + ", ".join(re.sub(r" (?:\d+:)?([^-+]*).*", r" \1", line) for line in out.splitlines()) + "."


def table(columns, rows):
    lines = ["| " + " | ".join(columns) + " |", "|---|" + "---:|" * (len(columns) - 1)]
    return "\n".join(lines + ["| " + " | ".join(map(str, r)) + " |" for r in rows])


def write(name, title, text, command):
    """Prints the section and puts it in place of the last one of this name."""
    load, day = os.getloadavg()[0], time.strftime("%Y-%m-%d", time.gmtime())
    section = (f"<!-- {name} -->\n## {title}\n\n{text.strip()}\n\n"
               f"`{command}` on {machine()}; {day}, load average {load:.1f} at the end.\n<!-- end {name} -->\n")
    print(section)
    old = HEAD
    if os.path.exists(RESULTS):
        with open(RESULTS, encoding="utf-8") as f:
            old = f.read()
    pattern = re.compile(rf"<!-- {name} -->.*?<!-- end {name} -->\n", re.S)
    new = pattern.sub(lambda _: section, old) if pattern.search(old) else old.rstrip("\n") + "\n\n" + section
    with open(RESULTS, "w", encoding="utf-8") as f:
        f.write(new)


def need_root():
    if os.geteuid():
        sys.exit("needs root: sudo ./dev bench")
