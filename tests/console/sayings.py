"""Which outcomes a library's kiosk can say and which a lane's display, and the kiosk's page that says each.

Laws of this file:
- What can be said is read off the code, from where each of them begins: code says the reasons it names, and those of
  whatever function, class or table it names. An annotation names nothing: what is handed in says its own.
- Pages are those of real visits: the sentences of tests/core/test_loan.py, walked once more.
"""

import dis
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

import msgspec

from drivers.camera.presence import Presence
from terminal.core import tokens
from terminal.core.library import Item
from terminal.core.model import Reason
from terminal.core.screen import Language, Page, PageKind, Said
from terminal.core.services.loan import loan
from terminal.core.services.loan_replay import replay
from terminal.core.services.loan_rules import unread
from terminal.core.tokens.explanation import product_of
from terminal.runtime.kiosk import KioskLane
from terminal.runtime.kiosk_entrance import Entrance
from terminal.runtime.lane import Lane
from terminal.runtime.replay import Replay
from tests.core.test_loan import ROWS, refusal
from tests.core.visiting import KIOSK, Visiting, kindly

OURS = ("terminal.", "drivers.", "tests.console.test_sayings")
# Asked by `terminal inspect` alone: what a code would come to at a gate.
INSPECTS = (*(form.explain for form in tokens.FORMATS), product_of)
TITLES = {"B-1": "三体", "B-2": "The Left Hand of Darkness", "B-8": "红楼梦", "B-9": "平凡的世界（普及本）"}


def said_from(*begins: object, but: tuple[object, ...] = INSPECTS) -> frozenset[Reason]:
    """Every reason that code reaches by the names it uses."""
    found = {id(one): one for one in but}
    reasons, todo = set(), list(begins)
    while todo:
        one = todo.pop()
        if id(one) in found:
            continue
        found[id(one)] = one
        if isinstance(one, Reason):
            reasons.add(one)
        else:
            todo.extend(_named_by(one))
    return frozenset(reasons)


def _named_by(one: Any) -> Iterator[object]:
    match one:
        case FunctionType() if one.__module__.startswith(OURS):
            yield from _loaded(one.__code__, one.__globals__)
        case type() if one.__module__.startswith(OURS) and one is not Reason:
            yield from vars(one).values()
        case dict():
            yield from one.values()
        case tuple() | list() | set() | frozenset():
            yield from one
        case property():
            yield one.fget
        case classmethod() | staticmethod():
            yield one.__func__
        case _:
            yield getattr(one, "__wrapped__", None)


def _loaded(code: CodeType, names: dict[str, object]) -> Iterator[object]:
    """What code loads: globals, and what it takes out of modules and enums among them."""
    last: object = None
    for step in dis.get_instructions(code):
        if step.opname == "LOAD_GLOBAL":
            last = names.get(step.argval)
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and isinstance(last, ModuleType | type):
            last = getattr(last, step.argval, None)
        else:
            last = None
        yield last
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _loaded(inner, names)


def _at_a_kiosk(*begins: object) -> frozenset[Reason]:
    return frozenset(unread(reason) for reason in said_from(*begins))


VISITS = _at_a_kiosk(loan)  # what a visit decides
HELD_OUT = _at_a_kiosk(Entrance, Presence) - VISITS  # why something held out is nobody's card or code
OF_ITSELF = _at_a_kiosk(KioskLane) - HELD_OUT - VISITS  # what its runtime shows whatever the visit says
KIOSK_SAYS = VISITS | HELD_OUT | OF_ITSELF
LISTED = said_from(replay, Replay)  # what stands in the librarian's list
# A display shows whatever no library alone says; a tariff may name reasons that no code does.
DISPLAY_SAYS = frozenset(Reason) - ((said_from(KioskLane) | LISTED) - said_from(Lane))


# --------------------------------------------------------------------------- the page of each


def page_saying(reason: Reason, language: Language) -> Page:
    """The kiosk's page with this outcome, as a visit comes to it."""
    if reason in OF_ITSELF:
        return Page(kind=PageKind.CLOSED, language=language, said=Said(reason=reason))
    if reason in HELD_OUT:
        return visiting(language).card(claim=refusal(reason)).page
    _, how, does, *_ = next(row for row in ROWS if row[4] is reason)
    return does(visiting(language, **how)).page


def visiting(language: Language, **how: Any) -> Visiting:
    """A kiosk of that language, at a library whose books have titles."""
    answer = how.get("answer", kindly)

    def titled(request: Any) -> Any:
        said = answer(request)
        title = TITLES.get(said.barcode) if isinstance(said, Item) else None
        return said if title is None else msgspec.structs.replace(said, title=title)

    kiosk = msgspec.structs.replace(how.get("kiosk", KIOSK), language=language)
    return Visiting(**(how | {"kiosk": kiosk, "answer": titled}))
