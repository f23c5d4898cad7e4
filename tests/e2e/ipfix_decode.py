# SPDX-License-Identifier: Apache-2.0
"""A small reader of IPFIX, from RFC 7011 and 5103 alone: for comparing, and so without a line of egret's own."""
import ipaddress
import socket
import struct
import threading

NAMES = {1: "octets", 2: "packets", 4: "proto", 6: "flags", 7: "sport", 8: "src", 10: "in_if", 11: "dport", 12: "dst",
         14: "out_if", 27: "src", 28: "dst", 32: "icmp", 60: "version", 61: "direction", 96: "app", 136: "reason",
         139: "icmp", 148: "id", 152: "start", 153: "end", 233: "event", 239: "biflow", 371: "user"}
ADDRESSES, TEXTS = (8, 12, 27, 28), (96, 371)
REVERSE = 29305


class Session:
    """One transport session: its templates, its sequence numbers."""

    def __init__(self):
        self.templates, self.sequence, self.flows, self.wrong = {}, {}, [], []
        self.messages = self.template_sets = 0

    def message(self, data):
        version, length, _, sequence, domain = struct.unpack(">HHIII", data[:16])
        self.messages += 1
        if version != 10 or length != len(data):
            self.wrong.append(("head", version, length, len(data)))
            return
        if sequence != self.sequence.setdefault(domain, sequence):
            self.wrong.append(("sequence", sequence, self.sequence[domain]))
        before, at = len(self.flows), 16
        while at < length:
            kind, size = struct.unpack(">HH", data[at:at + 4])
            if size < 4 or at + size > length:
                self.wrong.append(("set", kind, size))
                return
            body = data[at + 4:at + size]
            if kind == 2:
                self.template_sets += 1
                self.read_templates(body)
            elif kind in self.templates:
                self.read_records(self.templates[kind], body, domain)
            else:
                self.wrong.append(("no template", kind))
            at += size
        self.sequence[domain] = sequence + len(self.flows) - before & 0xFFFFFFFF

    def read_templates(self, body):
        at = 0
        while at + 4 <= len(body):
            number, n = struct.unpack(">HH", body[at:at + 4])
            at += 4
            fields = []
            for _ in range(n):
                element, size = struct.unpack(">HH", body[at:at + 4])
                at += 4
                pen = 0
                if element & 0x8000:
                    pen, at = struct.unpack(">I", body[at:at + 4])[0], at + 4
                fields.append((element & 0x7FFF, size, pen))
            self.templates[number] = fields

    def read_records(self, fields, body, domain):
        at = 0
        while at < len(body):
            flow = {"domain": domain}
            for element, size, pen in fields:
                if size == 65535:
                    size, at = body[at], at + 1
                    if size == 255:
                        size, at = struct.unpack(">H", body[at:at + 2])[0], at + 2
                value = body[at:at + size]
                at += size
                if len(value) < size:
                    self.wrong.append(("record ends early", element))
                    return
                name = ("r_" if pen == REVERSE else "") + NAMES[element]
                flow[name] = str(ipaddress.ip_address(value)) if element in ADDRESSES else \
                    value.decode() if element in TEXTS else int.from_bytes(value, "big")
            self.flows.append(flow)


class Collector:
    """Takes what comes at a port of the loopback, until closed. A session a sender (UDP) or a connection (TCP)."""

    def __init__(self, kind, port=0):
        self.kind, self.sessions, self.open = kind, [], True
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", port))
        self.port = self.socket.getsockname()[1]
        self.connection = None
        if kind == "tcp":
            self.socket.listen(4)
        self.thread = threading.Thread(target=self.tcp if kind == "tcp" else self.udp, daemon=True)
        self.thread.start()

    @property
    def flows(self):
        return [f for s in self.sessions for f in s.flows]

    @property
    def wrong(self):
        return [w for s in self.sessions for w in s.wrong]

    def udp(self):
        senders = {}
        while self.open:
            try:
                data, sender = self.socket.recvfrom(65536)
            except OSError:
                return
            if not data:            # the socket was shut down
                return
            if sender not in senders:
                senders[sender] = Session()
                self.sessions.append(senders[sender])
            senders[sender].message(data)

    def tcp(self):
        while self.open:
            try:
                self.connection = self.socket.accept()[0]
            except OSError:
                return
            session, rest = Session(), b""
            self.sessions.append(session)
            while True:
                try:
                    data = self.connection.recv(65536)
                except OSError:
                    break
                if not data:
                    break
                rest += data
                while len(rest) >= 4 and len(rest) >= (size := struct.unpack(">H", rest[2:4])[0]):
                    if size < 16:
                        session.wrong.append(("length", size))
                        rest = b""
                        break
                    session.message(rest[:size])
                    rest = rest[size:]

    def close(self):
        self.open = False
        for s in (self.connection, self.socket):
            if s:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                s.close()
        self.thread.join(5)
