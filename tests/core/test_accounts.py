"""One account behind every medium."""

import hmac

from terminal.core import accounts
from terminal.core.model import Ref
from tests.core.cases import parameters, ref

KEYS = ((2, b"\x02" * 32), (1, b"\x01" * 32))


def test_a_ref_is_a_keyed_hash_under_every_live_key() -> None:
    """Version, then HMAC-SHA-256 over namespace, zero and number, cut to 16 bytes; newest first."""
    found = accounts.refs("tu", b"number", parameters(link_keys=KEYS))
    assert found == tuple(
        Ref(bytes((version,)) + hmac.digest(key, b"tu\x00number", "sha256")[:16]) for version, key in KEYS
    )


def test_namespaces_are_apart() -> None:
    """The same digits in another namespace are another name."""
    known = parameters(link_keys=KEYS)
    assert accounts.refs("tu", b"1", known) != accounts.refs("ssc", b"1", known)
    assert accounts.refs("tu", b"12", known) != accounts.refs("tu", b"1", known)


def test_an_unlinked_medium_has_no_account() -> None:
    """Without an issuer's word media stay separate."""
    assert accounts.account_of([ref("phone")], None, parameters()) is None


def test_the_table_links_and_the_claim_comes_first() -> None:
    """A signed claim says it; else the table, under any of the medium's names."""
    known = parameters(link_of={ref("old name"): ref("account")})
    assert accounts.account_of([ref("new name"), ref("old name")], None, known) == ref("account")
    assert accounts.account_of([ref("old name")], ref("claimed"), known) == ref("claimed")


def test_a_replaced_cards_account_moves_on() -> None:
    """Aliases are followed to the end: phone and pass belong to the new card's account."""
    known = parameters(alias_of={ref("old card"): ref("new card")})
    assert accounts.account_of([], ref("old card"), known) == ref("new card")
