"""One account behind every medium.

Laws of this file:
- A number leaves this file only as a keyed hash: 1 byte link-key version ‖ HMAC-SHA-256(link key,
  namespace ‖ 00 ‖ number) cut to 16 bytes. Two key versions live side by side through a rotation.
- Namespaces: `ssc` identification code, `tu` transit number (ride code field 5, the purse's EF15), `tok` subject of
  a card token; `code` and `twin` name one use.
- Only an issuer joins media: by a claim it signed, or by the link table. Without a link, media stay separate.
"""

import hashlib
import hmac
from collections.abc import Iterable

from terminal.core.model import Ref
from terminal.core.parameters import ParameterSet

REF_BYTES = 17


def refs(namespace: str, number: bytes, parameters: ParameterSet) -> tuple[Ref, ...]:
    """The keyed hashes of a number under every live link key, newest first."""
    message = namespace.encode() + b"\x00" + number
    return tuple(
        Ref(bytes((version,)) + hmac.digest(key, message, "sha256")[:16]) for version, key in parameters.link_keys
    )


def channel_refs(medium_refs: Iterable[Ref], account: Ref | None, issuer: str) -> tuple[Ref, ...]:
    """One issuer's app on one account, or on one medium where nothing is linked; a hash of hashes, newest first."""
    return tuple(
        Ref(one[:1] + hashlib.sha256(b"channel\x00" + one + issuer.encode()).digest()[:16])
        for one in ((account,) if account is not None else medium_refs)
    )


def zone_ref(zone: str) -> Ref:
    """The party under which a site counts who is inside a zone."""
    return Ref(b"\x00" + hashlib.sha256(b"zone\x00" + zone.encode()).digest()[:16])


def account_of(medium_refs: Iterable[Ref], claimed: Ref | None, parameters: ParameterSet) -> Ref | None:
    """The account a medium belongs to: the issuer's claim, else the link table; then aliases, to the end."""
    linked = claimed
    if linked is None:
        linked = next((parameters.link_of[ref] for ref in medium_refs if ref in parameters.link_of), None)
    return None if linked is None else parameters.alias_of.get(linked, linked)
