# SPDX-License-Identifier: Apache-2.0
"""A handshake initiation of WireGuard, from its white paper, for tests: with the gateways' key
and any time. `wgforge.py PRIVATE-KEY CLIENT-PUBLIC-KEY FROM FROM-PORT TO TO-PORT SECONDS` sends
one whose clock is so many seconds ahead."""
import base64
import hashlib
import hmac
import os
import socket
import struct
import sys
import time

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
TAI_EPOCH = 0x400000000000000A


def blake(*parts):
    return hashlib.blake2s(b"".join(parts)).digest()


def kdf(key, data, n):
    secret = hmac.new(key, data, hashlib.blake2s).digest()
    out, last = [], b""
    for i in range(n):
        last = hmac.new(secret, last + bytes([i + 1]), hashlib.blake2s).digest()
        out.append(last)
    return out


def raw(public):
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def initiation(private, responder, ahead):
    own, theirs = X25519PrivateKey.from_private_bytes(private), X25519PublicKey.from_public_bytes(responder)
    fresh = X25519PrivateKey.generate()
    ephemeral = raw(fresh.public_key())
    chain = blake(CONSTRUCTION)
    seen = blake(blake(chain, IDENTIFIER), responder)
    chain, = kdf(chain, ephemeral, 1)
    seen = blake(seen, ephemeral)
    chain, key = kdf(chain, fresh.exchange(theirs), 2)
    static = ChaCha20Poly1305(key).encrypt(bytes(12), raw(own.public_key()), seen)
    seen = blake(seen, static)
    chain, key = kdf(chain, own.exchange(theirs), 2)
    now = time.time() + ahead
    stamp = struct.pack(">QI", TAI_EPOCH + int(now), int(now % 1 * 1e9))
    message = b"\1\0\0\0" + os.urandom(4) + ephemeral + static + \
        ChaCha20Poly1305(key).encrypt(bytes(12), stamp, seen)
    mac = hashlib.blake2s(message, key=blake(b"mac1----", responder), digest_size=16).digest()
    return message + mac + bytes(16)


def main():
    private, public, source, source_port, to, to_port, ahead = sys.argv[1:]
    m = initiation(base64.b64decode(private), base64.b64decode(public), float(ahead))
    udp = struct.pack(">4H", int(source_port), int(to_port), 8 + len(m), 0) + m
    ip = struct.pack(">BBHHHBBH4s4s", 69, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                     socket.inet_aton(source), socket.inet_aton(to))
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    s.sendto(ip + udp, (to, 0))


if __name__ == "__main__":
    main()
