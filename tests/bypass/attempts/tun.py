# SPDX-License-Identifier: Apache-2.0
"""A packet written into a tun device, which the kernel then forwards."""
import fcntl
import os
import struct
import time

from aim import FORBIDDEN4, MARK, PORT, command, run, udp_packet


def attempt():
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", b"egtun", 0x1001))
    command("ip", "addr", "add", "10.97.0.1/24", "dev", "egtun")
    command("ip", "link", "set", "egtun", "up")
    with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as f:
        f.write("1")
    os.write(fd, udp_packet("10.97.0.2", FORBIDDEN4, 4000, PORT, MARK))
    time.sleep(0.2)


run(attempt)
