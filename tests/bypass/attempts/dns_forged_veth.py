# SPDX-License-Identifier: Apache-2.0
"""The resolver's address on a cable of one's own: an answer by way of an interface one controls."""
import os

from aim import ALLOWED4, FORBIDDEN4, GOOD, answer, command, perhaps, run, tcp, tls_then_mark, udp, udp_packet

NAMESPACE = f"egtry{os.getpid()}"


def attempt():
    command("ip", "netns", "add", NAMESPACE)
    try:
        command("ip", "link", "add", "f0", "type", "veth", "peer", "name", "f1", "netns", NAMESPACE)
        command("ip", "addr", "add", "10.99.0.1/24", "dev", "f0")
        command("ip", "link", "set", "f0", "up")
        command("ip", "-n", NAMESPACE, "addr", "add", "10.99.0.2/24", "dev", "f1")
        command("ip", "-n", NAMESPACE, "link", "set", "f1", "up")
        client = udp()
        client.bind(("10.99.0.1", 0))
        port = client.getsockname()[1]
        code = ("import socket,sys\ns=socket.socket(2,3,255)\ns.sendto(bytes.fromhex(sys.argv[1]),('10.99.0.1',0))")
        packet = udp_packet(ALLOWED4, "10.99.0.1", 53, port, answer(GOOD, FORBIDDEN4))
        perhaps(command, "ip", "netns", "exec", NAMESPACE, "/usr/bin/python3", "-c", code, packet.hex())
        tls_then_mark(tcp(FORBIDDEN4, 443), GOOD)
    finally:
        command("ip", "netns", "del", NAMESPACE)


run(attempt)
