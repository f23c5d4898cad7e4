# SPDX-License-Identifier: Apache-2.0
"""More names than the kernel can remember, by real answers of the trusted resolver."""
from aim import ALLOWED4, FORBIDDEN4, GOOD, query, run, tcp, tls_then_mark, udp


def attempt():
    s = udp()
    s.connect((ALLOWED4, 53))
    s.settimeout(2)
    for i in range(20000):
        s.send(query(f"ip-10-78-{i >> 8 & 255}-{i & 255}.syn.lab.example", i))
        if i % 32 == 31:
            for _ in range(32):
                s.recv(512)
    tls_then_mark(tcp(FORBIDDEN4, 443), GOOD)


run(attempt)
