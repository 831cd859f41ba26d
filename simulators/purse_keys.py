"""The arithmetic of purse keys: diversification, session keys, MAC1, MAC2, TAC; for the simulated card and PSAM.

Laws of this file:
- No terminal computes any of this: a real one asks its PSAM. It is here because somebody has to be card and PSAM.
- 3DES is the published way (PBOC 2.0, JT/T 978): the known answers in tests/simulators/test_purse_keys.py hold.
- For SM4 no text was found: padding, truncation, diversification and TAC key are OUR OWN CHOICE, said here once. A real
  SM4 card may well do it otherwise; only its PSAM has to know.
"""

from enum import IntEnum

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import SM4


class Algorithm(IntEnum):
    """The algorithm byte of an answer to INITIALIZE; which value means SM4 is our own choice."""

    DES3 = 0x00
    SM4 = 0x04


def _run(algorithm: Algorithm, key: bytes, data: bytes, mode: modes.ECB | modes.CBC) -> bytes:
    tripled = key if algorithm is Algorithm.SM4 else {8: key * 3, 16: key + key[:8]}[len(key)]
    cipher = SM4(tripled) if algorithm is Algorithm.SM4 else TripleDES(tripled)
    encryptor = Cipher(cipher, mode).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def encrypt(algorithm: Algorithm, key: bytes, data: bytes) -> bytes:
    """Whole blocks, each for itself."""
    return _run(algorithm, key, data, modes.ECB())  # noqa: S305  # what the purse standard says


def block_size(algorithm: Algorithm) -> int:
    """Bytes of one block."""
    return 16 if algorithm is Algorithm.SM4 else 8


def pad(data: bytes, size: int) -> bytes:
    """80, then zeros to the block."""
    data += b"\x80"
    return data + bytes(-len(data) % size)


def cbc_mac(algorithm: Algorithm, key: bytes, data: bytes, first: bytes = b"") -> bytes:
    """The first four bytes of the last block, chained from `first` (nothing: zeros), padded with 80."""
    size = block_size(algorithm)
    return _run(algorithm, key, pad(data, size), modes.CBC(first.ljust(size, b"\x00")))[-size:][:4]


def diversify(algorithm: Algorithm, master: bytes, factor: bytes) -> bytes:
    """The 16-byte key of one level below `master`: over the factor and its complement."""
    return encrypt(algorithm, master, factor + bytes(byte ^ 0xFF for byte in factor))


def session_key(algorithm: Algorithm, key: bytes, random: bytes, counter: int, transaction: bytes) -> bytes:
    """SESPK: over card random ‖ ATC ‖ the last two bytes of the terminal's transaction number."""
    block = random + counter.to_bytes(2) + transaction[-2:]
    return encrypt(algorithm, key, block if algorithm is Algorithm.DES3 else pad(block, 16))


def tac(algorithm: Algorithm, key: bytes, data: bytes, first: bytes = b"") -> bytes:
    """The transaction certificate: under the left half XOR the right one with 3DES, the whole key with SM4.

    That APPLICATION BLOCK's MAC is made the same way, from the card's random number, is OUR OWN CHOICE.
    """
    if algorithm is Algorithm.DES3:
        key = bytes(left ^ right for left, right in zip(key[:8], key[8:], strict=True))
    return cbc_mac(algorithm, key, data, first)
