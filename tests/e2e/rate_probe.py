#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How fast flows are: `serve PORT`, and `ask HOST PORT FLOWS SECONDS SKIP up|down|udp-up|udp-down [CC] [RATE]`.

A flow moves bytes as fast as it may for SECONDS; counted is what its receiver got after the first SKIP seconds. `ask` prints JSON:
bits a second of each flow. UDP (one flow) is sent in datagrams of 1,200 bytes at RATE bits a second; its IP bytes count.
"""
import json
import selectors
import socket
import struct
import sys
import time

CHUNK = bytes(1 << 16)
HEAD = struct.Struct("!ddB")    # seconds, skip, 1: the client sends
TCP_CONGESTION, SO_RCVBUFFORCE = 13, 33
DATAGRAM, UDP_HEADERS = 1200, 28


class Flow:
    """One end of one flow, driven by run()."""

    def __init__(self, sock, seconds, skip, sends):
        self.sock, self.sends, self.got = sock, sends, 0
        now = time.monotonic()
        self.from_, self.until = now + skip, now + seconds
        self.over = None
        sock.setblocking(False)

    def step(self, now):
        """One read or write; False when the flow is over."""
        if self.sends:
            if now >= self.until:
                return False
            self.sock.send(CHUNK)
            return True
        data = self.sock.recv(1 << 18)
        if not data or now >= self.until:
            self.over = min(now, self.until)
            return False
        if now >= self.from_:
            self.got += len(data)
        return True

    def bits(self):
        return 8 * self.got / max((self.over or self.until) - self.from_, 1e-3)


def run(flows, sel, done):
    """Moves all that can move; done(flow) when one is over."""
    for key, _ in sel.select(0.2):
        if not isinstance(key.data, Flow):
            return key
        try:
            if key.data.step(time.monotonic()):
                continue
        except BlockingIOError:
            continue
        except OSError:
            pass
        sel.unregister(key.fileobj)
        flows.discard(key.data)
        done(key.data)
    now = time.monotonic()
    for f in [f for f in flows if now >= f.until + 0.5]:
        sel.unregister(f.sock)
        flows.discard(f)
        done(f)
    return None


def serve(port):
    sel, flows = selectors.DefaultSelector(), set()
    listener = socket.create_server(("0.0.0.0", port), backlog=256)
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    control.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    control.bind(("0.0.0.0", port))
    sel.register(listener, selectors.EVENT_READ, "listener")
    sel.register(control, selectors.EVENT_READ, "udp")

    def done(f):
        try:
            f.sock.setblocking(True)
            f.sock.settimeout(30)
            if not f.sends:
                f.sock.sendall(b"%d\n" % f.bits())
        except OSError:
            pass
        f.sock.close()

    print("serving", flush=True)
    while True:
        key = run(flows, sel, done)
        if key and key.data == "udp":
            serve_udp(control)
        elif key and key.data == "listener":
            sock, _ = listener.accept()
            sel.register(sock, selectors.EVENT_READ, sock)
        elif key:
            sock = key.fileobj
            sel.unregister(sock)
            head = sock.recv(HEAD.size, socket.MSG_WAITALL)
            cc = sock.recv(16, socket.MSG_WAITALL).rstrip(b"\0")
            if len(head) < HEAD.size:
                sock.close()
                continue
            seconds, skip, client_sends = HEAD.unpack(head)
            if cc and not client_sends:
                sock.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, cc)
            f = Flow(sock, seconds, skip, not client_sends)
            flows.add(f)
            sel.register(sock, selectors.EVENT_READ if client_sends else selectors.EVENT_WRITE, f)


def count_udp(sock, seconds, skip):
    now = time.monotonic()
    from_, until, got = now + skip, now + seconds, 0
    sock.settimeout(0.2)
    while time.monotonic() < until:
        try:
            data = sock.recv(2048)
        except TimeoutError:
            continue
        if from_ <= time.monotonic() < until:
            got += len(data) + UDP_HEADERS
    return 8 * got / (seconds - skip)


def send_udp(sock, to, seconds, rate):
    start, sent = time.monotonic(), 0
    while (now := time.monotonic()) < start + seconds:
        due = (now - start) * rate / 8
        while sent < due:
            try:
                sock.sendto(bytes(DATAGRAM), to)
            except OSError:
                pass
            sent += DATAGRAM + UDP_HEADERS
        time.sleep(0.001)


def serve_udp(sock):
    sock.settimeout(None)
    data, peer = sock.recvfrom(2048)
    if not data.startswith(b"{"):
        return
    q = json.loads(data)
    if q["up"]:
        bits = count_udp(sock, q["seconds"], q["skip"])
        sock.sendto(b"=%d" % bits, peer)
    else:
        send_udp(sock, peer, q["seconds"], q["rate"])
    sock.settimeout(None)


def ask_udp(host, port, seconds, skip, up, rate):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    sock.connect((host, port))
    sock.send(json.dumps({"up": up, "seconds": seconds, "skip": skip, "rate": rate}).encode())
    if not up:
        return [count_udp(sock, seconds, skip)]
    send_udp(sock, (host, port), seconds, rate)
    sock.settimeout(10)
    while True:
        data = sock.recv(2048)
        if data.startswith(b"="):
            return [float(data[1:])]


def ask_tcp(host, port, n, seconds, skip, up, cc):
    sel, flows, all_flows, socks = selectors.DefaultSelector(), set(), [], []
    for _ in range(n):
        sock = socket.socket()
        if cc and up:
            sock.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, cc)
        sock.connect((host, port))
        socks.append(sock)
    for sock in socks:  # all at once: over a long wire connecting alone takes seconds
        sock.sendall(HEAD.pack(seconds, skip, up) + cc.ljust(16, b"\0"))
        f = Flow(sock, seconds, skip, up)
        flows.add(f)
        all_flows.append(f)
        sel.register(sock, selectors.EVENT_WRITE if up else selectors.EVENT_READ, f)
    while flows:
        run(flows, sel, lambda f: None)
    if not up:
        return [f.bits() for f in all_flows]
    out = []
    for f in all_flows:
        f.sock.setblocking(True)
        f.sock.settimeout(30)
        out.append(float(f.sock.makefile("rb").readline() or 0))
    return out


def main():
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
        return
    host, port, n, seconds, skip, how = sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]), \
        float(sys.argv[6]), sys.argv[7]
    cc = sys.argv[8].encode() if len(sys.argv) > 8 else b""
    if how.startswith("udp"):
        bits = ask_udp(host, port, seconds, skip, how == "udp-up", float(sys.argv[9]))
    else:
        bits = ask_tcp(host, port, n, seconds, skip, how == "up", cc)
    print(json.dumps(bits))


if __name__ == "__main__":
    main()
