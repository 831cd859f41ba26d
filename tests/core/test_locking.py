"""A listed purse is locked on the card: by the module's right, only over the card's own random number."""

from pathlib import Path

import msgspec
import pytest

from simulators.card import SimulatedCard, transcript
from simulators.purse import PurseApplication
from simulators.purse_keys import tac
from simulators.secure_module import SimulatedModule
from terminal.core import cards
from terminal.core.cards import locking
from terminal.core.cards.transit_purse import NAME
from terminal.core.debit import DebitState
from terminal.core.model import Reason, Refusal
from tests.core.card_talk import ISSUER, PURSE, Scripted, talk, visit

HEAD = bytes.fromhex("841e000004")


def listed() -> tuple[SimulatedCard, PurseApplication]:
    """A card whose purse is selected."""
    purse = ISSUER.purse("amber")
    card = ISSUER.card("amber", purse)
    talk(cards.read((NAME,), card.uid, visit()), card)
    return card, purse


def test_the_golden_transcript() -> None:
    """Command by command, card and module; afterwards the card says by itself that it is locked."""
    card, purse = listed()
    module = ISSUER.module()
    assert talk(locking.lock(purse.public_file, PURSE), card, module) == locking.Locked(
        state=DebitState.DONE, why="9000"
    )
    pairs = zip(module.commands, module.answers, strict=True)
    asked = [text for command, answer in pairs for text in (f"> {command.hex()}", f"< {answer.hex()}")]
    lines = ["# card", *list(transcript(card))[4:], "# module", *asked]
    golden = Path(__file__).parents[1] / "golden" / "purse_lock.txt"
    assert "\n".join(lines) + "\n" == golden.read_text(encoding="utf-8")
    assert purse.blocked
    again = talk(cards.read((NAME,), card.uid, visit()), card).claim
    assert isinstance(again, Refusal) and again.reason is Reason.PURSE_LOCKED


def test_the_mac_is_over_the_card_s_random_number() -> None:
    """Computed a second time, by the simulated card's own key."""
    card, purse = listed()
    talk(locking.lock(purse.public_file, PURSE), card, ISSUER.module())
    random, sent = card.answers[-2][:4], card.commands[-1]
    assert sent == HEAD + tac(purse.algorithm, purse.lock_key, HEAD, random)


@pytest.mark.parametrize(
    ("sentence", "said", "module", "expected", "locked"),
    [
        ("no random number", {2: "6d00"}, True, (DebitState.NOT_DONE, "challenge"), False),
        ("three bytes of it", {2: "010203 9000"}, True, (DebitState.NOT_DONE, "challenge"), False),
        ("another random number than the card's", {2: "01020304 9000"}, True, (DebitState.NOT_DONE, "6988"), False),
        ("the card refuses", {3: "6985"}, True, (DebitState.NOT_DONE, "6985"), True),
        ("it says that more follows", {3: "6200"}, True, (DebitState.NOT_DONE, "6200"), True),
        ("an answer of nothing", {3: ""}, True, (DebitState.UNKNOWN, "0000"), True),
        ("no module", {}, False, (DebitState.NOT_DONE, "module"), False),
    ],
)
def test_what_it_comes_to(
    sentence: str, said: dict[int, str], module: bool, expected: tuple[DebitState, str], locked: bool
) -> None:
    """Only 9000 is a lock, only another status word is none."""
    plain, purse = listed()
    card = Scripted(plain, said)
    talk(cards.read((NAME,), card.uid, visit()), card)
    found = talk(locking.lock(purse.public_file, PURSE), card, ISSUER.module() if module else None)
    assert (found.state, found.why) == expected, sentence
    assert purse.blocked is locked, sentence


@pytest.mark.parametrize("lock_key", [(0x44, 0x02), (0x46, 0x02)])
def test_another_key_locks_nothing(lock_key: tuple[int, int]) -> None:
    """The module has no such key, or it is not this one."""
    card, purse = listed()
    module: SimulatedModule = ISSUER.module()
    found = talk(locking.lock(purse.public_file, msgspec.structs.replace(PURSE, lock_key=lock_key)), card, module)
    assert found.state is DebitState.NOT_DONE and found.why in ("6988", "module")
    assert not purse.blocked
