"""A reader's account at the kiosk: loans with due dates, holds, fines; renewing one or all.

Laws of this file:
- What is shown is what the library system says now; nothing of it is kept or written.
- Nothing is renewed while the library system is away: its date would be a guess.
"""

from terminal.core.library import Item, Loan, Patron, Silence
from terminal.core.loans import Circulated, Circulation
from terminal.core.model import Amount, Reason
from terminal.core.screen import Button, Figure, PageKind, Row, Said, Touch, Word
from terminal.core.services import loan_rules as rules
from terminal.core.services.loan_session import Reader, Session
from terminal.core.visit import Event, LookAt, LookUp, Note, Port, Pressed, Renew, Visit, ask, note

CHARGED = 2  # the list of a patron's loans (63, summary)
RENEWS = (Touch.RENEW, Touch.RENEW_ALL)


def account(session: Session) -> Visit[Event]:
    """Show the account and renew what is asked, until something else is wanted."""
    reader = session.reader
    assert reader is not None
    heard = yield from ask(Port.LIBRARY, LookUp(reader=reader.known.number, listed=CHARGED))
    session.offline = isinstance(heard.said, Silence)
    figures: tuple[Figure, ...] = ()
    rows: list[Row] = []
    if isinstance(heard.said, Patron):
        figures = _figures(heard.said)
        rows = yield from _loans(heard.said, session.kiosk.listed)
        session.said = session.said or rules.standing(heard.said)
    elif isinstance(heard.said, Silence):
        session.said = Said(reason=rules.WORDS_OF[heard.said])
    session.acted()
    while True:
        event = yield from _shown(session, figures, rows)
        if not (isinstance(event, Pressed) and event.press.touch in RENEWS):
            return event
        chosen = [row.id for row in rows if event.press.touch is Touch.RENEW_ALL or row.id == event.press.of]
        for barcode in chosen:
            found = yield from _renewed(session, reader, barcode)
            rows = [_after(row, found) for row in rows]
            session.said = found.said
        session.acted()


def _shown(session: Session, figures: tuple[Figure, ...], rows: list[Row]) -> Visit[Event]:
    """The account's page."""
    buttons = (Touch.BORROW, Touch.RETURN, *((Touch.RENEW_ALL,) if rows else ()), Touch.LANGUAGE, Touch.DONE)
    page = session.page(PageKind.ACCOUNT, *buttons, figures=figures, rows=tuple(rows))
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


def _renewed(session: Session, reader: Reader, barcode: str) -> Visit[Row]:
    """Renew one loan: what its row says now."""
    heard = yield from ask(Port.LIBRARY, Renew(reader=reader.known.number, barcode=barcode))
    match heard.said:
        case Loan(ok=True) as made:
            due = rules.day(made.due)
            fact = Circulated(
                lane=session.kiosk.lane, what=Circulation.RENEWED, reason=Reason.RENEWED, of=reader.sign_in
            )
            yield from note(Note(fact=fact, barcode=barcode))
            return Row(id=barcode, due=due, said=Said(reason=Reason.RENEWED, values={"due": due}))
        case Loan() as refused:
            return Row(id=barcode, said=Said(reason=Reason.RENEW_REFUSED), words=refused.message)
        case Silence() as silence:
            return Row(id=barcode, said=Said(reason=rules.WORDS_OF[silence]))
        case _:
            return Row(id=barcode, said=Said(reason=Reason.LIBRARY_UNREACHABLE))


def _after(row: Row, found: Row) -> Row:
    """A row after an attempt to renew it."""
    if row.id != found.id:
        return row
    due = found.due or row.due
    said = found.said
    if said is not None and said.reason is Reason.RENEW_REFUSED:
        said = Said(reason=Reason.RENEW_REFUSED, values={"due": due})
    return Row(id=row.id, title=row.title, due=due, said=said, words=found.words, buttons=row.buttons)
