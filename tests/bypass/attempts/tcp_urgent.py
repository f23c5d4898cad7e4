# SPDX-License-Identifier: Apache-2.0
"""
A byte of urgent data within the name: on the wire the ClientHello says good.lab.example, but the server does not get that byte
and reads another name.
"""
import socket
import struct

from aim import GOOD, hello, resolve, run, tcp, tell


def attempt():
    name = GOOD[1:] + "z"
    message = hello.handshake("")
    # the extension with the name last, so that what the extra byte pushes out is no part of the message
    extension = hello.extension(0, struct.pack(">HBH", len(name) + 3, 0, len(name)) + name.encode())
    at = message.index(hello.extension(10, b"")[:2]) - 2
    size = struct.unpack(">H", message[at:at + 2])[0] + len(extension)
    message = message[:at] + struct.pack(">H", size) + message[at + 2:] + extension
    greeting = hello.records(b"\1" + struct.pack(">I", len(message) - 4)[1:] + message[4:], 16384)
    cut = len(greeting) - len(name)
    s = tcp(resolve(GOOD), 443)
    s.sendall(greeting[:cut])
    s.send(GOOD[:1].encode(), socket.MSG_OOB)
    s.sendall(greeting[cut:])
    tell(s)


run(attempt)
