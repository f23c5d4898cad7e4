# SPDX-License-Identifier: Apache-2.0
"""A client's first QUIC packet (RFC 9001, 5): a ClientHello that names a host, protected with the keys everybody knows."""
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.hmac import HMAC

from aim import hello

SALT = bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a")


def expand(secret, label, size):
    label = b"tls13 " + label
    info = struct.pack(">HB", size, len(label)) + label + b"\0"
    return HKDFExpand(hashes.SHA256(), size, info).derive(secret)


def initial(name, dcid=b"12345678"):
    extract = HMAC(SALT, hashes.SHA256())
    extract.update(dcid)
    secret = expand(extract.finalize(), b"client in", 32)
    key, iv, hp = (expand(secret, b"quic " + what, size) for what, size in ((b"key", 16), (b"iv", 12), (b"hp", 16)))
    message = hello.handshake(name, ("h3",))
    frames = b"\6\0" + struct.pack(">H", 0x4000 | len(message)) + message
    frames = frames.ljust(1162 - len(dcid), b"\0")
    head = (b"\xc3\0\0\0\1" + bytes([len(dcid)]) + dcid + b"\0\0" +
            struct.pack(">H", 0x4000 | (4 + len(frames) + 16)) + b"\0\0\0\0")
    sealed = AESGCM(key).encrypt(iv, frames, head)
    masker = Cipher(algorithms.AES(hp), modes.ECB()).encryptor()
    mask = masker.update(sealed[:16])
    head = (bytes([head[0] ^ mask[0] & 0x0f]) + head[1:-4] +
            bytes(a ^ b for a, b in zip(head[-4:], mask[1:5])))
    return head + sealed
