"""One book at a library kiosk: lent, or taken back; online, or noted to be told later.

Laws of this file:
- Journal before release: a loan is durable before its security is taken off, and a book that cannot be released is
  not lent: the loan is undone (BI=Y), and where that is not answered either, it is undone later.
- A library system that says no is obeyed and nothing is written of it; one that is silent is replaced by the site's
  own policy.
- Of a set every part lies on the pad, or nothing is asked. Where there is a pad, a barcode alone is no book: its
  security could not be written, and nobody can see that it is here.
"""

from terminal.core.items import Securing, tags_of
from terminal.core.library import Loan, Return, Silence
from terminal.core.loans import Circulated, Circulation
from terminal.core.model import EntryName, Instant, Reason, Value
from terminal.core.screen import Row, Said
from terminal.core.services import loan_rules as rules
from terminal.core.services.loan_session import Reader, Session
from terminal.core.visit import Heard, Lend, Note, Port, Secure, TakeBack, Visit, ask, note


class Lending(Value, frozen=True):
    """A loan that was made, before the book is released."""

    reason: Reason
    title: str = ""
    due: str = ""
    due_ms: int | None = None
    waits: bool = False
    doubtful: bool = False
    renewed: bool = False  # the reader had this book already: that loan stands, whatever becomes of this one


# --------------------------------------------------------------------------- lending


def lend(session: Session, barcode: str) -> Visit[Row]:
    """Lend a book to whoever is signed in."""
    reader = session.reader
    assert reader is not None
    missing = _not_whole(session, barcode)
    if missing is not None:
        return _row(barcode, missing)
    heard = yield from ask(Port.LIBRARY, Lend(reader=reader.known.number, barcode=barcode))
    session.offline = isinstance(heard.said, Silence) and heard.said is not Silence.UNSAYABLE
    match heard.said:
        case Loan(ok=True) as made:
            due = rules.day(made.due)
            lending = Lending(reason=Reason.BORROWED, title=made.title, due=due, renewed=made.renewed)
        case Loan() as refused:
            return _row(barcode, Reason.LOAN_REFUSED, refused.title, words=refused.message)
        case Silence() as silence:
            lent = yield from _lend_offline(session, reader, barcode, silence, heard.at)
            if isinstance(lent, Row):
                return lent
            lending = lent
        case _:
            return _row(barcode, Reason.LIBRARY_UNREACHABLE)
    return (yield from _release(session, reader, barcode, lending))


def _lend_offline(
    session: Session, reader: Reader, barcode: str, silence: Silence, at: Instant
) -> Visit[Lending | Row]:
    """A loan by the site's own policy, told later; one that the policy refuses is undone, should it have counted."""
    if silence is Silence.UNSAYABLE:
        return _row(barcode, Reason.BOOK_NOT_RECOGNISED)
    policy, doubtful = session.kiosk.offline, rules.is_doubtful(silence)
    refused = rules.why_not_offline(policy, reader.known, reader.waiting)
    if refused is None:
        due_ms = rules.offline_due_ms(policy, at, reader.presented.parameters.tariff.time_zone)
        due = rules.local_day(due_ms, reader.presented.parameters.tariff.time_zone)
        return Lending(reason=Reason.BORROWED_OFFLINE, due=due, due_ms=due_ms, waits=True, doubtful=doubtful)
    if not doubtful:
        return Row(id=barcode, said=refused)
    said = Said(reason=rules.WORDS_OF[silence])
    noted = yield from _note(session, barcode, Circulation.UNDONE, said.reason, waits=True, doubtful=True)
    return Row(id=barcode, said=said if noted is not None else Said(reason=Reason.JOURNAL_UNAVAILABLE))


def _release(session: Session, reader: Reader, barcode: str, lending: Lending) -> Visit[Row]:
    """Write the loan down, then take the security off; undo the loan where one of the two fails."""
    written = yield from _note(
        session,
        barcode,
        Circulation.LENT,
        lending.reason,
        of=reader.sign_in,
        waits=lending.waits,
        doubtful=lending.doubtful,
        due_ms=lending.due_ms,
    )
    if written is None:
        if not lending.waits:
            yield from ask(Port.LIBRARY, Lend(reader=reader.known.number, barcode=barcode, undo=True))
        return _row(barcode, Reason.JOURNAL_UNAVAILABLE, lending.title)
    released = yield from _secured(session, barcode, on=False)
    if released:
        reader.waiting += lending.waits
        return _row(barcode, lending.reason, lending.title, due=lending.due)
    yield from _undo(session, reader, barcode, lending, written)
    return _row(barcode, Reason.BOOK_NOT_RELEASED, lending.title)


def _undo(session: Session, reader: Reader, barcode: str, lending: Lending, loan: EntryName) -> Visit[None]:
    """The book was not released: the loan is taken back, at once or later."""
    if lending.renewed:
        return
    told = not lending.waits
    undone = False
    if told:
        heard = yield from ask(Port.LIBRARY, Lend(reader=reader.known.number, barcode=barcode, undo=True))
        undone = isinstance(heard.said, Loan) and heard.said.ok
    yield from _note(
        session,
        barcode,
        Circulation.UNDONE,
        Reason.BOOK_NOT_RELEASED,
        of=loan,
        waits=(told and not undone) or lending.doubtful,
        doubtful=lending.doubtful,
        cancels=lending.waits,
    )


# --------------------------------------------------------------------------- taking back


def give_back(session: Session, barcode: str) -> Visit[Row]:
    """Take a book back, whoever brings it."""
    earlier = session.rows.get(barcode)
    if earlier is not None and earlier.said == Said(reason=Reason.BOOK_NOT_SECURED):
        return (yield from _keep(session, session.unsecured[barcode]))
    missing = _not_whole(session, barcode)
    if missing is not None:
        return _row(barcode, missing)
    heard = yield from ask(Port.LIBRARY, TakeBack(barcode=barcode))
    session.offline = isinstance(heard.said, Silence) and heard.said is not Silence.UNSAYABLE
    match heard.said:
        case Return(ok=True) as made:
            row, waits, doubtful = _returned(barcode, made), False, False
        case Return() as refused:
            return _row(barcode, Reason.RETURN_REFUSED, refused.title, words=refused.message)
        case Silence.UNSAYABLE:
            return _row(barcode, Reason.BOOK_NOT_RECOGNISED)
        case Silence() as silence:
            row, waits, doubtful = _row(barcode, Reason.RETURNED_OFFLINE), True, rules.is_doubtful(silence)
        case _:
            return _row(barcode, Reason.LIBRARY_UNREACHABLE)
    assert row.said is not None
    written = yield from _note(session, barcode, Circulation.RETURNED, row.said.reason, waits=waits, doubtful=doubtful)
    if written is None and waits:  # nobody would ever tell the library system
        return _row(barcode, Reason.JOURNAL_UNAVAILABLE)
    return (yield from _keep(session, row))


def _returned(barcode: str, made: Return) -> Row:
    """What a return that the library system took comes to."""
    if made.alert:
        return _row(barcode, Reason.BOOK_ON_HOLD, made.title, words=made.message)
    if made.bin:
        said = Said(reason=Reason.RETURN_ROUTED, values={"bin": made.bin})
        return Row(id=barcode, title=made.title, said=said, words=made.message)
    return _row(barcode, Reason.RETURNED, made.title, words=made.message)


def _keep(session: Session, row: Row) -> Visit[Row]:
    """Put the security on, or call the book back: it must not leave again unnoticed."""
    if (yield from _secured(session, row.id, on=True)):
        return row
    session.unsecured[row.id] = row
    return Row(id=row.id, title=row.title, said=Said(reason=Reason.BOOK_NOT_SECURED))


# --------------------------------------------------------------------------- what both are made of


def _not_whole(session: Session, barcode: str) -> Reason | None:
    """What keeps a book from being dealt with at all."""
    if not session.kiosk.has_pad:
        return None
    if barcode not in session.pad.items:
        return Reason.BOOK_NOT_ON_PAD
    return (
        {
            Securing.PARTS_MISSING: Reason.BOOK_PARTS_MISSING,
            Securing.TWO_TAGS: Reason.BOOK_NOT_RECOGNISED,
        }.get(found)
        if isinstance(found := tags_of(session.pad, barcode), Securing)
        else None
    )


def _secured(session: Session, barcode: str, *, on: bool) -> Visit[bool]:
    """Whether the door will do what it should; without a pad there is no security to write."""
    if not session.kiosk.has_pad:
        return True
    heard: Heard = yield from ask(Port.ITEMS, Secure(barcode=barcode, on=on))
    return heard.said is Securing.DONE


def _note(
    session: Session,
    barcode: str,
    what: Circulation,
    reason: Reason,
    *,
    of: EntryName | None = None,
    waits: bool = False,
    doubtful: bool = False,
    cancels: bool = False,
    due_ms: int | None = None,
) -> Visit[EntryName | None]:
    """Write that a book moved; None: the disk is full."""
    fact = Circulated(
        lane=session.kiosk.lane,
        what=what,
        reason=reason,
        of=of,
        waits=waits,
        doubtful=doubtful,
        cancels=cancels,
        due_ms=due_ms,
    )
    number = session.reader.known.number if session.reader is not None and what is not Circulation.RETURNED else None
    noted = yield from note(Note(fact=fact, barcode=barcode, reader=number))
    return noted.name


def _row(barcode: str, reason: Reason, title: str = "", *, due: str = "", words: str = "") -> Row:
    said = Said(reason=reason, values={"due": due} if due else {})
    return Row(id=barcode, title=title, due=due, said=said, words=words)
