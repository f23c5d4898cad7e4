# SPDX-License-Identifier: Apache-2.0
"""The other side of the bypass suite: listens on all its addresses, and looks at every frame that reaches its interface.

    server.py INTERFACE MPTCP-PORT PORT...

Says "mark X" once for each mark seen on the wire, wherever in a frame it stands, and "up" when it serves. Data on a
connection is answered with a word; a datagram to port 7005 is sent back from port 5300.
"""
import os
import re
import selectors
import socket
import sys
import threading

MARK = re.compile(rb"egx[0-9]{3}[a-z]{10}")


def watch(s):
    seen, frame = set(), bytearray(1 << 17)
    while True:
        n = s.recv_into(frame)
        for mark in map(bytes, MARK.findall(frame, 0, n)):
            if mark not in seen:
                seen.add(mark)
                print("mark", mark.decode(), flush=True)


def listen(port, proto=0):
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, proto)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # the resolver's host has a real one at 53
    s.bind(("::ffff:10.77.0.3" if port == 53 else "::", port))
    s.listen(256)
    if not proto:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 64)
    s.setblocking(False)
    return s


def datagrams(port):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.bind(("::", port))
    s.setblocking(False)
    return s


def main():
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sniffer.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
    sniffer.bind((sys.argv[1], 3))
    os.nice(-10)                    # whatever else runs: what is not read in time is lost
    mptcp, ports = int(sys.argv[2]), list(map(int, sys.argv[3:]))
    wait = selectors.DefaultSelector()
    for port in ports:
        if port != 53:
            wait.register(datagrams(port), selectors.EVENT_READ, "datagram")
    for port in ports:
        try:
            s = listen(port, 262 if port == mptcp else 0)
        except OSError:
            s = listen(port)
        wait.register(s, selectors.EVENT_READ, "listener")
    echo, other = datagrams(7005), datagrams(5300)
    wait.register(echo, selectors.EVENT_READ, "echo")
    threading.Thread(target=watch, args=(sniffer,), daemon=True).start()
    print("up", flush=True)
    while True:
        for key, _ in wait.select():
            s = key.fileobj
            try:
                if key.data == "listener":
                    c, _ = s.accept()
                    c.setblocking(False)
                    wait.register(c, selectors.EVENT_READ, "stream")
                elif key.data == "datagram":
                    s.recv(65536)
                elif key.data == "echo":
                    data, peer = s.recvfrom(65536)
                    other.sendto(data, peer)
                elif s.recv(65536):
                    s.send(b"250 ok\r\n")
                else:
                    raise ConnectionError
            except BlockingIOError:
                pass
            except OSError:
                if key.data == "stream":
                    wait.unregister(s)
                    s.close()


main()
