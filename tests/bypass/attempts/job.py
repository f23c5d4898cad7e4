#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The script that the policy of the bypass suite allows: ADDRESS PORT TEXT."""
import socket
import sys

s = socket.create_connection(sys.argv[1:3], 2)
s.send(sys.argv[3].encode())
s.recv(64)
