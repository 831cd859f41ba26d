"""SM2 verification (GB/T 32918.2 with SM3) through the system's libcrypto.

Laws of this file:
- It verifies only; no private key ever enters the terminal.
- The user ID is always set explicitly: with none set, OpenSSL 3.0 computes Z with an empty one, and other
  versions may do otherwise.
- A point off the curve, infinity, or a signature outside 1…n-1 is refused, never raised past `PublicKey`.
- Where libcrypto (≥ 3.0) or its SM2 is missing, `gmalg` answers the same questions slowly; `backend_name` says which.
"""

import ctypes
from typing import Any, Protocol

DEFAULT_ID = b"1234567812345678"  # GM/T 0009-2012, 10
ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123  # n of the recommended curve


class InvalidKey(ValueError):
    """Not a point of the curve."""


class PublicKey:
    """A parsed SM2 public key that can be kept."""

    __slots__ = ("_check",)

    def __init__(self, point: bytes) -> None:
        """`point`: 33 bytes compressed (02/03 ‖ X) or 65 bytes uncompressed (04 ‖ X ‖ Y). Raises InvalidKey."""
        if (len(point), point[:1]) not in ((33, b"\x02"), (33, b"\x03"), (65, b"\x04")):
            raise InvalidKey("not an SM2 point")
        self._check = _BACKEND.load(point)

    def verify(self, signature: bytes, message: bytes, user_id: bytes = DEFAULT_ID) -> bool:
        """Whether `signature` (r ‖ s, 32 + 32 bytes, big-endian) over `message` holds under `user_id`."""
        if len(signature) != 64:
            return False
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
        if not (0 < r < ORDER and 0 < s < ORDER):
            return False
        return self._check.verify(r, s, message, user_id)


def backend_name() -> str:
    """Which code verifies: the library and its version."""
    return _BACKEND.name


class _Check(Protocol):
    def verify(self, r: int, s: int, message: bytes, user_id: bytes) -> bool: ...


class _Backend(Protocol):
    name: str

    def load(self, point: bytes) -> _Check: ...


# --------------------------------------------------------------------------- libcrypto

_LIBRARY, _ALGORITHM = "libcrypto.so.3", b"SM2"


class _Param(ctypes.Structure):
    """OSSL_PARAM of openssl/core.h."""

    _fields_ = (
        ("key", ctypes.c_char_p),
        ("data_type", ctypes.c_uint),
        ("data", ctypes.c_char_p),
        ("data_size", ctypes.c_size_t),
        ("return_size", ctypes.c_size_t),
    )


_UTF8_STRING, _OCTET_STRING = 4, 5  # openssl/core.h
_PUBLIC_KEY = 0x86  # EVP_PKEY_PUBLIC_KEY of openssl/evp.h
_P = ctypes.c_void_p
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "EVP_PKEY_CTX_new_from_name": (_P, (_P, ctypes.c_char_p, ctypes.c_char_p)),
    "EVP_PKEY_fromdata_init": (ctypes.c_int, (_P,)),
    "EVP_PKEY_fromdata": (ctypes.c_int, (_P, ctypes.POINTER(_P), ctypes.c_int, ctypes.POINTER(_Param))),
    "EVP_PKEY_free": (None, (_P,)),
    "EVP_PKEY_CTX_new": (_P, (_P, _P)),
    "EVP_PKEY_CTX_free": (None, (_P,)),
    "EVP_PKEY_CTX_set1_id": (ctypes.c_int, (_P, ctypes.c_char_p, ctypes.c_size_t)),
    "EVP_MD_fetch": (_P, (_P, ctypes.c_char_p, ctypes.c_char_p)),
    "EVP_MD_CTX_new": (_P, ()),
    "EVP_MD_CTX_free": (None, (_P,)),
    "EVP_MD_CTX_set_pkey_ctx": (None, (_P, _P)),
    "EVP_DigestVerifyInit": (ctypes.c_int, (_P, _P, _P, _P, _P)),
    "EVP_DigestVerify": (ctypes.c_int, (_P, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)),
    "ERR_clear_error": (None, ()),
    "OpenSSL_version": (ctypes.c_char_p, (ctypes.c_int,)),
}


class _Libcrypto:
    """SM2 by EVP. Calls release the GIL."""

    def __init__(self) -> None:
        self.lib = ctypes.CDLL(_LIBRARY)
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self.lib, name)
            function.restype, function.argtypes = result, arguments
        self.name = self.lib.OpenSSL_version(0).decode()
        self.sm3 = self.lib.EVP_MD_fetch(None, b"SM3", None)
        self.maker = self.lib.EVP_PKEY_CTX_new_from_name(None, _ALGORITHM, None)
        if not self.sm3 or not self.maker or self.lib.EVP_PKEY_fromdata_init(self.maker) != 1:
            raise OSError("this libcrypto has no SM2")

    def load(self, point: bytes) -> _Check:
        """A key object of its own; its memory is freed with it."""
        group, key = b"SM2", _P()
        params = (_Param * 3)(
            _Param(b"group", _UTF8_STRING, group, len(group), 0),
            _Param(b"pub", _OCTET_STRING, point, len(point), 0),
            _Param(None, 0, None, 0, 0),
        )
        if self.lib.EVP_PKEY_fromdata(self.maker, ctypes.byref(key), _PUBLIC_KEY, params) != 1:
            self.lib.ERR_clear_error()
            raise InvalidKey("not a point of the SM2 curve")
        return _LibcryptoKey(self, key)


class _LibcryptoKey:
    """One EVP_PKEY."""

    __slots__ = ("_key", "_owner")

    def __init__(self, owner: _Libcrypto, key: Any) -> None:
        self._owner = owner
        self._key = key

    def verify(self, r: int, s: int, message: bytes, user_id: bytes) -> bool:
        lib = self._owner.lib
        context = lib.EVP_PKEY_CTX_new(self._key, None)
        digest = lib.EVP_MD_CTX_new()
        try:
            lib.EVP_MD_CTX_set_pkey_ctx(digest, context)
            signature = _der(r, s)
            held = bool(
                lib.EVP_PKEY_CTX_set1_id(context, user_id, len(user_id)) == 1
                and lib.EVP_DigestVerifyInit(digest, None, self._owner.sm3, None, self._key) == 1
                and lib.EVP_DigestVerify(digest, signature, len(signature), message, len(message)) == 1
            )
        finally:
            lib.EVP_MD_CTX_free(digest)
            lib.EVP_PKEY_CTX_free(context)
        if not held:
            lib.ERR_clear_error()
        return held

    def __del__(self) -> None:
        self._owner.lib.EVP_PKEY_free(self._key)


def _der(r: int, s: int) -> bytes:
    """SEQUENCE of two INTEGERs (X.690): what EVP wants instead of r ‖ s."""
    body = b"".join(b"\x02" + bytes((len(number),)) + number for number in map(_integer, (r, s)))
    return b"\x30" + bytes((len(body),)) + body


def _integer(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1)


# --------------------------------------------------------------------------- the slow way


class _Gmalg:
    """SM2 in pure Python, where there is no libcrypto with SM2."""

    def __init__(self) -> None:
        import gmalg  # only where it is needed: it is slow, and the product runs without it

        self.name = "gmalg (pure Python, slow)"
        self.module = gmalg

    def load(self, point: bytes) -> _Check:
        try:
            if not self.module.SM2().verify_pk(point):
                raise InvalidKey("not a point of the SM2 curve")
        except self.module.errors.GMError as error:
            raise InvalidKey("not a point of the SM2 curve") from error
        return _GmalgKey(self.module, point)


class _GmalgKey:
    __slots__ = ("_module", "_point")

    def __init__(self, module: Any, point: bytes) -> None:
        self._module = module
        self._point = point

    def verify(self, r: int, s: int, message: bytes, user_id: bytes) -> bool:
        checker = self._module.SM2(uid=user_id, pk=self._point)
        return bool(checker.verify(message, r.to_bytes(32), s.to_bytes(32)))


def _choose() -> _Backend:
    try:
        return _Libcrypto()
    except (OSError, AttributeError):
        return _Gmalg()


_BACKEND: _Backend = _choose()
