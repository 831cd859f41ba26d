"""A reader's account at the kiosk: loans with due dates, reservations and which of them are here, fines; renewing.

Laws of this file:
- What is shown is what the library system says now; nothing of it is kept or written.
- Nothing is renewed while the library system is away: its date would be a guess.
- "Ready" is said of a reservation only where the copy's own status says that it waits on the shelf.
"""

import msgspec

from terminal.core.library import Item, Loan, Patron, Silence
from terminal.core.loans import Circulated, Circulation
from terminal.core.model import Amount, Reason
from terminal.core.screen import Button, Figure, PageKind, Row, Said, Touch, Word
from terminal.core.services import loan_rules as rules
from terminal.core.services.loan_session import Reader, Session
from terminal.core.visit import Event, LookAt, LookUp, Note, Port, Pressed, Renew, Visit, ask, note

HOLDS, CHARGED = 0, 2  # lists of a patron (63, summary)
ON_HOLD_SHELF = 8  # circulation status (18)
RENEWS = (Touch.RENEW, Touch.RENEW_ALL)


def account(session: Session) -> Visit[Event]:
    """Show the account and renew what is asked, until something else is wanted."""
    reader = session.reader
    assert reader is not None
    heard = yield from ask(Port.LIBRARY, LookUp(reader=reader.known.number, listed=CHARGED))
    session.offline = isinstance(heard.said, Silence)
    figures: tuple[Figure, ...] = ()
    rows: list[Row] = []
    held: list[Row] = []
    if isinstance(heard.said, Patron):
        figures = _figures(heard.said)
        rows = yield from _loans(heard.said, session.kiosk.listed)
        held = yield from _holds(reader, heard.said, session.kiosk.listed)
        session.said = session.said or rules.standing(heard.said)
    elif isinstance(heard.said, Silence):
        session.said = Said(reason=rules.WORDS_OF[heard.said])
    session.acted()
    while True:
        event = yield from _shown(session, figures, rows, held)
        if not isinstance(event, Pressed):
            if session.queue or session.is_over(event):
                return event
            continue  # a pad that flickers asks nothing anew
        if event.press.touch is Touch.LANGUAGE:
            session.other_language()
            continue
        if event.press.touch not in RENEWS:
            return event
        chosen = [at for at, row in enumerate(rows) if row.buttons and event.press.of in ("", row.id)]
        for at in chosen:
            rows[at] = yield from _renewed(session, reader, rows[at])
        session.said = _of_all([rows[at].said for at in chosen])
        session.acted()


def _shown(session: Session, figures: tuple[Figure, ...], rows: list[Row], held: list[Row]) -> Visit[Event]:
    """The account's page: what is ready to collect, loans, then other reservations."""
    ready, others = ([row for row in held if (row.held is Word.READY) is wanted] for wanted in (True, False))
    renews = any(row.buttons for row in rows)
    buttons = (Touch.BORROW, Touch.RETURN, *((Touch.RENEW_ALL,) if renews else ()), Touch.LANGUAGE, Touch.DONE)
    page = session.page(PageKind.ACCOUNT, *buttons, figures=figures, rows=(*ready, *rows, *others))
    return (yield from session.wait(page, session.left_s()))


def _figures(patron: Patron) -> tuple[Figure, ...]:
    """Numbers of an account; what the system does not say is not shown."""
    counts = ((Word.BORROWED, patron.charged), (Word.OVERDUE, patron.overdue), (Word.HOLDS, patron.holds))
    figures = tuple(Figure(word=word, value=str(count)) for word, count in counts if count is not None)
    if patron.fee_minor is None:
        return figures
    return (*figures, Figure(word=Word.FINES, value=Amount(minor=patron.fee_minor, currency=patron.currency)))


def _loans(patron: Patron, most: int) -> Visit[list[Row]]:
    """A row a loan. A system may list titles instead of barcodes: then there is nothing to look up, or to renew."""
    rows = []
    for listed in patron.items[:most]:
        heard = yield from ask(Port.LIBRARY, LookAt(barcode=listed))
        row = Row(id=listed)
        if isinstance(heard.said, Item) and heard.said.title:
            due, renew = rules.day(heard.said.due), Button(touch=Touch.RENEW, of=listed)
            row = Row(id=listed, title=heard.said.title, due=due, buttons=(renew,))
        rows.append(row)
    return rows


def _holds(reader: Reader, patron: Patron, most: int) -> Visit[list[Row]]:
    """A row a reservation that the system names."""
    if patron.holds == 0:
        return []
    heard = yield from ask(Port.LIBRARY, LookUp(reader=reader.known.number, listed=HOLDS))
    rows = []
    for listed in heard.said.items[:most] if isinstance(heard.said, Patron) else ():
        found = yield from ask(Port.LIBRARY, LookAt(barcode=listed))
        copy = found.said if isinstance(found.said, Item) else None
        here = copy is not None and copy.circulation_status == ON_HOLD_SHELF
        title = "" if copy is None else copy.title
        rows.append(Row(id=listed, title=title, held=Word.READY if here else Word.RESERVED))
    return rows


def _of_all(said: list[Said | None]) -> Said | None:
    """The headline of several renewals: the first that was refused, so that nobody leaves believing in all of them."""
    return next((one for one in said if one is not None and one.reason is not Reason.RENEWED), said[-1])


def _renewed(session: Session, reader: Reader, row: Row) -> Visit[Row]:
    """Renew one loan: what its row says now."""
    heard = yield from ask(Port.LIBRARY, Renew(reader=reader.known.number, barcode=row.id))
    due, words = row.due, ""
    match heard.said:
        case Loan(ok=True) as made:
            due = rules.day(made.due) or due
            fact = Circulated(
                lane=session.kiosk.lane, what=Circulation.RENEWED, reason=Reason.RENEWED, of=reader.sign_in
            )
            yield from note(Note(fact=fact, barcode=row.id))
            said = Said(reason=Reason.RENEWED, values={"due": due})
        case Loan() as refused:
            said, words = Said(reason=Reason.RENEW_REFUSED, values={"due": due}), refused.message
        case Silence() as silence:
            said = Said(reason=rules.WORDS_OF[silence])
        case _:
            said = Said(reason=Reason.LIBRARY_UNREACHABLE)
    after = msgspec.structs.replace(row, due=due, said=said, words=words)
    if said.reason is Reason.RENEWED:
        session.renewed(after)
    return after
