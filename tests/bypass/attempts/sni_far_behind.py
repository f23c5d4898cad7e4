# SPDX-License-Identifier: Apache-2.0
"""The other name behind 5 KiB of padding."""
import struct

from aim import GOOD, OTHER, hello, resolve, run, tcp, tls_then_mark


def attempt():
    message = hello.handshake(OTHER)
    name = hello.extension(0, struct.pack(">HBH", len(OTHER) + 3, 0, len(OTHER)) + OTHER.encode())
    at = message.index(name)
    size = struct.unpack(">H", message[at - 2:at])[0] + 5004
    message = message[:at - 2] + struct.pack(">H", size) + hello.extension(21, b"\0" * 5000) + message[at:]
    message = b"\1" + struct.pack(">I", len(message) - 4)[1:] + message[4:]
    tls_then_mark(tcp(resolve(GOOD), 443), None, hello.records(message, 16384))


run(attempt)
