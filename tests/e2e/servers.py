#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A small TCP and UDP server for the end-to-end tests, IPv4 and IPv6: takes everything, and does one thing.

usage: servers.py (sink|echo|source|reset|c2) (tcp|udp) PORT [CERTIFICATE KEY]

sink takes and drops; echo sends back; source sends 300,000 bytes and closes; reset takes one byte and resets. c2 (TCP, TLS with
a certificate) is the far end of reverse shells: sends a command until it is answered, then another, and says so with the time:
"open T", "shell T".
"""
import selectors
import socket
import ssl
import struct
import sys
import threading
import time

LINGER_0 = struct.pack("ii", 1, 0)


def serve_udp(what, s):
    while True:
        data, peer = s.recvfrom(65536)
        if what == "echo":
            s.sendto(data, peer)


ASK = b"echo egret-$((6*7))\n"
ANSWER = b"egret-42"


def command(s):
    """One end of a shell: asks once a second until it is answered, then lets the connection stand."""
    print(f"open {time.time():.3f}", flush=True)
    got, more = b"", True
    try:
        while more and ANSWER not in got:
            s.sendall(ASK)
            s.settimeout(1)
            try:
                while more and ANSWER not in got:
                    data = s.recv(4096)
                    more = bool(data)
                    got += data
            except TimeoutError:
                pass
        if ANSWER in got:
            print(f"shell {time.time():.3f}", flush=True)
        s.settimeout(None)
        s.sendall(ASK)
        while s.recv(4096):
            pass
    except OSError as e:
        print(f"over: {e}", flush=True)


def serve_c2(listener, tls):
    while True:
        s, _ = listener.accept()
        threading.Thread(target=lambda c=s: command(tls.wrap_socket(c, server_side=True) if tls else c),
                         daemon=True).start()


def serve_tcp(what, listener):
    sel = selectors.DefaultSelector()
    sel.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in sel.select():
            s = key.fileobj
            if s is listener:
                s, _peer = listener.accept()
                if what == "source":
                    with s:
                        try:
                            s.sendall(bytes(300000))
                        except OSError:     # the other side had enough
                            pass
                else:
                    sel.register(s, selectors.EVENT_READ)
                continue
            try:
                data = s.recv(262144)
                if data and what == "echo":
                    s.sendall(data)
                if data and what == "reset":
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
                    data = b""
            except OSError:
                data = b""
            if not data:
                sel.unregister(s)
                s.close()


def main():
    what, proto, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("::", port))
    if proto == "udp":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        serve_udp(what, s)
    else:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
        s.listen(512)
        if what == "c2":
            tls = None
            if len(sys.argv) > 4:
                tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                tls.load_cert_chain(sys.argv[4], sys.argv[5])
            serve_c2(s, tls)
        serve_tcp(what, s)


main()
