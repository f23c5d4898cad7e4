# SPDX-License-Identifier: Apache-2.0
"""TLS begun inside a mail conversation with the allowed host, with another name."""
from aim import GOOD, OTHER, resolve, run, tcp, tell, tls_then_mark


def attempt():
    s = tcp(resolve(GOOD), 25)
    tell(s, b"EHLO me\r\n")
    tell(s, b"STARTTLS\r\n")
    tls_then_mark(s, OTHER)


run(attempt)
