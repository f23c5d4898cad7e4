# SPDX-License-Identifier: Apache-2.0
"""TLS and HTTP to the allowed name."""
import time

from aim import GOOD, MARK, hello, resolve, run, tcp, tell, tell_hello


def attempt():
    address = resolve(GOOD)
    tell_hello(tcp(address, 443), hello.client_hello(GOOD.upper() + "."))
    s = tcp(address, 443)
    greeting = hello.client_hello(GOOD)
    s.sendall(greeting[:60])
    time.sleep(0.1)
    tell_hello(s, greeting[60:])
    tell(s)
    tell(tcp(address, 80), b"GET /" + MARK + b" HTTP/1.1\r\nHost: " + GOOD.encode() + b"\r\n\r\n")


run(attempt)
