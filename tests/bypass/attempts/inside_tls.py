# SPDX-License-Identifier: Apache-2.0
"""Another tenant's name inside the encrypted stream, behind the allowed one in the clear."""
from aim import GOOD, MARK, hello, resolve, run, tcp, tell, tell_hello


def attempt():
    s = tcp(resolve(GOOD), 443)
    tell_hello(s, hello.client_hello(GOOD))
    tell(s, b"\x17\3\3\0\x40" + MARK.ljust(64, b"."))


run(attempt)
