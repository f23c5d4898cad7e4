#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Between egretd and ClickHouse: does to inserts what the word in FILE says. usage: clickhouse_proxy.py PORT UPSTREAM-PORT FILE

pass; deaf: they arrive, their answer does not; cut: half of each arrives; hang: nothing is answered. Of all requests: html, old: what
answers is no ClickHouse, or one of long ago. "deaf 3" is so three times, and then pass. Prints a line for each insert.
"""
import http.client
import http.server
import random
import socket
import sys
import time

PORT, UPSTREAM, FILE = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


def mode():
    with open(FILE, encoding="ascii") as f:
        word, *times = f.read().split() or ["pass"]
    if times:
        left = int(times[0]) - 1
        with open(FILE, "w", encoding="ascii") as f:
            f.write(f"{word} {left}" if left else "pass")
    return word


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def half(self, body):
        with socket.create_connection(("127.0.0.1", UPSTREAM)) as s:
            head = "".join(f"{k}: {v}\r\n" for k, v in self.headers.items())
            s.sendall(f"POST {self.path} HTTP/1.1\r\n{head}\r\n".encode() + body[:random.randrange(len(body))])
            time.sleep(0.05)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        insert = "INSERT" in self.path
        with open(FILE, encoding="ascii") as f:
            word = f.read().split()[0]
        if word == "html":
            self.answer(200, b"<html>hello</html>\n")
        elif word == "old":
            self.answer(200, b"1.1.54378\t0\n")
        else:
            word = mode() if insert else "pass"
            if insert:
                print(word, flush=True)
            if word == "cut":
                self.half(body)
            elif word == "hang":
                time.sleep(600)
            else:
                c = http.client.HTTPConnection("127.0.0.1", UPSTREAM, timeout=60)
                c.request("POST", self.path, body, dict(self.headers))
                got = c.getresponse()
                text = got.read()
                if word != "deaf":
                    self.answer(got.status, text)
                    return
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)


http.server.ThreadingHTTPServer.request_queue_size = 64
http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
