"""Library kiosk: borrow, give back, renew, look at one's account. One generator is one visit; this is its plot.

Laws of this file:
- Signing in, lending and taking back are written down before a page says so and before a book is released.
- A visit ends by DONE, by another reader's card, or by itself when nobody acts: nobody sees the last one's account.
- Whatever the library system does not answer, the visit goes on.
"""

from typing import NamedTuple

from terminal.core.items import Pad
from terminal.core.library import Patron, Silence
from terminal.core.model import Reason, Show
from terminal.core.screen import PageKind, Said, Touch
from terminal.core.services import loan_rules as rules
from terminal.core.services.loan_account import account
from terminal.core.services.loan_books import give_back, lend
from terminal.core.services.loan_session import GOODBYE_S, Kiosk, Reader, Session
from terminal.core.visit import EndSession, Event, LookUp, Port, Presented, Pressed, SignIn, Tick, Visit, ask, note

BUTTONS = {
    PageKind.READER: (Touch.RETURN, Touch.ACCOUNT, Touch.LANGUAGE, Touch.DONE),
    PageKind.RETURNING: (Touch.LANGUAGE, Touch.DONE),
}
MODES = {Touch.RETURN: PageKind.RETURNING, Touch.BORROW: PageKind.READER, Touch.ACCOUNT: PageKind.ACCOUNT}


class Parting(NamedTuple):
    """How a visit ended: what the next one begins with."""

    said: Said | None = None
    event: Event | None = None  # whoever came next
    pad: Pad = Pad()  # what still lies there is nobody's


def loan(kiosk: Kiosk, before: Parting | None = None) -> Visit[Parting]:
    """One visit at a kiosk; returns what the next one begins with."""
    before = before or Parting()
    session = Session(kiosk, before.pad, kiosk.language, frozenset(before.pad.items), said=before.said)
    event = before.event or (yield from _rest(session))
    session.at, session.said = event.at, None
    session.acted()
    if not isinstance(event, Presented):
        return (yield from _serve(session, PageKind.RETURNING))
    refused = yield from _sign_in(session, event)
    if refused is not None:
        return Parting(said=refused, pad=session.pad)
    return (yield from _serve(session, PageKind.READER))


def _rest(session: Session) -> Visit[Event]:
    """Nobody is served. Ends with a card that is held out, or the wish to give back."""
    while True:
        page = session.page(PageKind.REST, Touch.RETURN, Touch.LANGUAGE, ends=False)
        event = yield from session.wait(page, _rests_s(session))
        if isinstance(event, Presented) or (isinstance(event, Pressed) and event.press.touch is Touch.RETURN):
            return event
        if isinstance(event, Pressed):
            session.other_language()
        elif isinstance(event, Tick):  # what was said is old, and what was put down and left is nobody's
            session.said, session.language = None, session.kiosk.language
            session.abandon()


def _rests_s(session: Session) -> float | None:
    """How long the rest page stays as it is; None: until somebody acts."""
    if session.said is not None:
        return GOODBYE_S
    changed = bool(session.queue) or session.language is not session.kiosk.language
    return session.kiosk.privacy_s if changed else None


def _sign_in(session: Session, presented: Presented) -> Visit[Said | None]:
    """Who is it? Returns why they are not served; None: they are."""
    outcome = rules.sign_in(presented)
    noted = yield from note(SignIn(presented=presented, outcome=outcome))
    if noted.name is None:
        return Said(reason=Reason.JOURNAL_UNAVAILABLE)
    if not outcome.decision.granted:
        return next(Said(reason=act.reason, values=act.values) for act in outcome.acts if isinstance(act, Show))
    assert presented.known is not None
    session.reader = Reader(presented.known, noted.name, presented, presented.known.waiting)
    heard = yield from ask(Port.LIBRARY, LookUp(reader=presented.known.number))
    session.said = Said(reason=Reason.SIGNED_IN)
    if isinstance(heard.said, Patron):
        if not heard.said.valid:
            return Said(reason=Reason.READER_NOT_OPENED)
        session.said = rules.standing(heard.said) or session.said
    session.offline = isinstance(heard.said, Silence)
    return None


def _serve(session: Session, mode: PageKind) -> Visit[Parting]:
    """Whoever is here puts books down and touches buttons, until they are done or gone."""
    session.mode = mode
    while True:
        if mode is PageKind.ACCOUNT and not session.queue:
            event = yield from account(session)
        else:
            mode = session.mode
            event = yield from _books(session)
        match event:
            case Pressed(press=press) if press.touch is Touch.LANGUAGE:
                session.other_language()
            case Pressed(press=press) if press.touch in MODES:
                mode, session.said = MODES[press.touch], None
                session.mode = PageKind.READER if mode is PageKind.ACCOUNT else mode
                session.acted()
            case _ if session.is_over(event):
                return (yield from _end(session, event))
            case _:
                pass


def _books(session: Session) -> Visit[Event]:
    """Deal with the next book that was put down, or wait for whoever acts."""
    mode = session.mode
    buttons = BUTTONS[mode]
    if mode is PageKind.RETURNING and session.reader is not None:
        buttons = (Touch.BORROW, Touch.ACCOUNT, *buttons)
    if session.queue:
        barcode = session.queue.pop(0)
        session.put((yield from (lend if mode is PageKind.READER else give_back)(session, barcode)))
    wait_s = 0.0 if session.queue else session.left_s()
    return (yield from session.wait(session.page(mode, *buttons), wait_s))


def _end(session: Session, event: Event) -> Visit[Parting]:
    """Whoever was here is gone, or somebody else is."""
    if session.reader is not None and not session.offline:
        yield from ask(Port.LIBRARY, EndSession(reader=session.reader.known.number))
    said = Said(reason=Reason.READER_SESSION_END) if session.reader is not None else None
    return Parting(said=said, event=event if isinstance(event, Presented) else None, pad=session.pad)
