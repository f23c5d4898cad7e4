# SPDX-License-Identifier: Apache-2.0
"""The kernel's own NAT turns an allowed destination into another one."""
from aim import ALLOWED4, FORBIDDEN4, MARK, PORT, command, run, udp

RULES = '''table ip egbypass {
    chain out {
        type nat hook output priority -100
        ip daddr %s udp dport 7002 dnat to %s:%d
    }
}'''


def attempt():
    command("nft", RULES % (ALLOWED4, FORBIDDEN4, PORT))
    try:
        udp().sendto(MARK, (ALLOWED4, 7002))
    finally:
        command("nft", "delete", "table", "ip", "egbypass")


run(attempt)
