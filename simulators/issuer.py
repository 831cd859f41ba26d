"""The issuers' side of ride codes: root → issuer → user, with synthetic keys; and SM2 of its own.

Laws of this file:
- SM2 *signing* lives here only. It is pure Python over GB/T 32918.2 with SM3 from hashlib, written from the standard
  and sharing nothing with terminal/core/sm2.py, so that a shared mistake would show.
- Every key follows from a seed and a name; none was ever used for anything real.
- Signing takes its nonce from the key and the message, so that the same seed gives the same bytes.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache

from terminal.core.parameters import CustomField, IdRule, RideCodeIssuer

# The recommended curve of GB/T 32918.5.
P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
DEFAULT_ID = b"1234567812345678"
Point = tuple[int, int]
Jacobian = tuple[int, int, int]


def sm3(data: bytes) -> bytes:
    """SM3 of GB/T 32905, 32 bytes."""
    return hashlib.new("sm3", data).digest()


# --------------------------------------------------------------------------- the curve


def _double(p: Jacobian) -> Jacobian:
    x, y, z = p
    if not z:
        return p
    yy = y * y % P
    s = 4 * x * yy % P
    zz = z * z % P
    m = 3 * (x - zz) * (x + zz) % P
    nx = (m * m - 2 * s) % P
    return nx, (m * (s - nx) - 8 * yy * yy) % P, 2 * y * z % P


def _add(p: Jacobian, q: Point) -> Jacobian:
    x1, y1, z1 = p
    if not z1:
        return q[0], q[1], 1
    zz = z1 * z1 % P
    u, s = q[0] * zz % P, q[1] * zz * z1 % P
    h, r = (u - x1) % P, (s - y1) % P
    if not h:
        return _double(p) if not r else (1, 1, 0)
    hh = h * h % P
    hhh, v = h * hh % P, x1 * hh % P
    nx = (r * r - hhh - 2 * v) % P
    return nx, (r * (v - nx) - y1 * hhh) % P, z1 * h % P


def _affine(p: Jacobian) -> Point:
    inverse = pow(p[2], -1, P)
    square = inverse * inverse % P
    return p[0] * square % P, p[1] * square * inverse % P


@lru_cache(maxsize=64)
def _table(base: Point) -> tuple[tuple[Point, ...], ...]:
    """For each of the 64 hexadecimal digits of a scalar: its fifteen multiples of the base."""
    rows: list[tuple[Point, ...]] = []
    here: Jacobian = (base[0], base[1], 1)
    for _ in range(64):
        start = _affine(here)
        multiples = [here]
        for _ in range(14):
            multiples.append(_add(multiples[-1], start))
        rows.append(tuple(map(_affine, multiples)))
        here = _add(multiples[-1], start)
    return tuple(rows)


def _multiply_table(scalar: int, base: Point) -> Jacobian:
    total: Jacobian = (1, 1, 0)
    for row in _table(base):
        digit = scalar & 15
        if digit:
            total = _add(total, row[digit - 1])
        scalar >>= 4
    return total


def _multiply_once(scalar: int, point: Point) -> Jacobian:
    total: Jacobian = (1, 1, 0)
    for bit in f"{scalar:b}":
        total = _double(total)
        if bit == "1":
            total = _add(total, point)
    return total


def _compress(point: Point) -> bytes:
    return bytes((2 + (point[1] & 1),)) + point[0].to_bytes(32)


def _decompress(key: bytes) -> Point | None:
    x = int.from_bytes(key[1:33])
    if len(key) != 33 or key[0] not in (2, 3) or x >= P:
        return None
    square = (x * x * x + A * x + B) % P
    y = pow(square, (P + 1) // 4, P)
    if y * y % P != square:
        return None
    return x, y if y & 1 == key[0] & 1 else P - y


def _z(user_id: bytes, key: Point) -> bytes:
    """Z_A of GB/T 32918.2, 5.5."""
    curve = b"".join(number.to_bytes(32) for number in (A, B, *G, *key))
    return sm3((len(user_id) * 8).to_bytes(2) + user_id + curve)


# --------------------------------------------------------------------------- signing and an independent check


@dataclass(frozen=True)
class SigningKey:
    """A synthetic SM2 private key."""

    secret: int

    @classmethod
    def named(cls, seed: int, name: str) -> "SigningKey":
        """The key of this name under this seed."""
        digest = hashlib.sha512(f"onecard synthetic {seed} {name}".encode()).digest()
        return cls(int.from_bytes(digest) % (N - 2) + 1)

    @cached_property
    def point(self) -> Point:
        """The public point."""
        return _affine(_multiply_table(self.secret, G))

    @cached_property
    def public(self) -> bytes:
        """The public key, compressed, 33 bytes."""
        return _compress(self.point)

    @cached_property
    def _zs(self) -> dict[bytes, bytes]:
        return {}

    def sign(self, message: bytes, user_id: bytes = DEFAULT_ID, again: int = 0) -> bytes:
        """R ‖ s, 64 bytes. `again` gives another, equally valid signature of the same message."""
        if user_id not in self._zs:
            self._zs[user_id] = _z(user_id, self.point)
        e = int.from_bytes(sm3(self._zs[user_id] + message))
        attempt = again
        while True:
            nonce = hmac.digest(self.secret.to_bytes(32), message + attempt.to_bytes(4), "sha512")
            k = int.from_bytes(nonce) % (N - 1) + 1
            r = (e + _affine(_multiply_table(k, G))[0]) % N
            s = pow(1 + self.secret, -1, N) * (k - r * self.secret) % N
            if r and s and r + k != N:
                return r.to_bytes(32) + s.to_bytes(32)
            attempt += 1 << 16


def verify(key: bytes, signature: bytes, message: bytes, user_id: bytes = DEFAULT_ID) -> bool:
    """Whether r ‖ s over `message` holds under the compressed `key`: head office's own check."""
    point = _decompress(key)
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    t = (r + s) % N
    if point is None or len(signature) != 64 or not (0 < r < N and 0 < s < N) or not t:
        return False
    e = int.from_bytes(sm3(_z(user_id, point) + message))
    theirs = _multiply_once(t, point)
    total = _multiply_table(s, G)
    total = _add(total, _affine(theirs)) if theirs[2] else total
    return bool(total[2]) and (e + _affine(total)[0]) % N == r


# --------------------------------------------------------------------------- root and issuer


@dataclass
class Issuer:
    """An issuer with the certificate its root gave it."""

    seed: int = 0
    number: str = "31000001"  # field 6
    platform: str = "50010001"  # field 7
    versions: tuple[int, ...] = (0x80, 0x81)
    root_index: int = 0x17
    expiry: str = "1239"  # MMYY
    id_rule: IdRule = IdRule.DEFAULT
    custom_field: CustomField = CustomField.ACCOUNT_LINK
    serial: bytes = b"\x00\x00\x07"
    root: SigningKey = field(init=False)
    key: SigningKey = field(init=False)

    def __post_init__(self) -> None:
        self.root = SigningKey.named(self.seed, f"root {self.root_index:02x}")
        self.key = SigningKey.named(self.seed, f"issuer {self.number}")

    @cached_property
    def certificate(self) -> bytes:
        """The 117 bytes of field 3."""
        return self.certify(self.root)

    def certify(self, root: SigningKey, key: SigningKey | None = None) -> bytes:
        """A certificate for this issuer by any root: also by a false one."""
        service = bytes.fromhex("01010000")
        body = (
            b"\x12"
            + bytes.fromhex(self.number + self.expiry)
            + self.serial
            + b"\x04\x04\x00\x21"
            + (key or self.key).public
        )
        user_id = DEFAULT_ID if self.id_rule is IdRule.DEFAULT else service + bytes((self.root_index,))
        return b"\x24" + service + bytes((self.root_index,)) + body + root.sign(body, user_id)

    def sign(self, fields: bytes, key: SigningKey | None = None) -> bytes:
        """Field 15 over fields 3 to 14: 15 ‖ r ‖ s."""
        user_id = DEFAULT_ID if self.id_rule is IdRule.DEFAULT else bytes.fromhex(self.number + self.platform)
        return b"\x15" + (key or self.key).sign(fields, user_id)

    def row(self) -> RideCodeIssuer:
        """This issuer as the terminals' parameters name it."""
        return RideCodeIssuer(
            versions=self.versions,
            issuer=self.number,
            platforms=(self.platform,),
            roots={f"{self.root_index:02x}": self.root.public.hex()},
            id_rule=self.id_rule,
            custom_field=self.custom_field,
        )


@cache
def demo_issuer(seed: int = 0) -> Issuer:
    """The issuer of the demo and of `terminal simulate code`."""
    return Issuer(seed=seed)
