# SPDX-License-Identifier: Apache-2.0
"""Two host names in one extension, and two extensions: the allowed one first."""
import struct

from aim import GOOD, OTHER, hello, resolve, run, tcp, tls_then_mark


def attempt():
    message = hello.handshake(OTHER)
    first = hello.extension(0, struct.pack(">HBH", len(GOOD) + 3, 0, len(GOOD)) + GOOD.encode())
    at = message.index(hello.extension(0, struct.pack(">HBH", len(OTHER) + 3, 0, len(OTHER)) + OTHER.encode()))
    message = message[:at] + first + message[at:]
    # the lengths of the extensions and of the message grow with it
    size = struct.unpack(">H", message[at - 2:at])[0] + len(first)
    message = message[:at - 2] + struct.pack(">H", size) + message[at:]
    message = b"\1" + struct.pack(">I", len(message) - 4)[1:] + message[4:]
    tls_then_mark(tcp(resolve(GOOD), 443), None, hello.records(message, 16384))


run(attempt)
