"""The same library system at the port itself, without a wire: for stories and days on the loop that jumps.

Laws of this file:
- It is the library of simulators/library.py, asked in another way; it is in the state it says.
- `silence` makes it say nothing; with `does_it_all_the_same` it does first what was asked, as a lost answer would mean.
"""

import asyncio
import datetime

from simulators.library import OWED, Copy, Library
from terminal.core.library import Item, Loan, Patron, Payment, ReaderNumber, Return, Silence, SystemStatus
from terminal.ports import LibraryError

CHINA = datetime.timezone(datetime.timedelta(hours=8))
ANSWER_S = 0.01


def sip_date(utc_ms: int) -> str:
    """As SIP2 writes it, on Chinese clocks."""
    return datetime.datetime.fromtimestamp(utc_ms / 1000, CHINA).strftime("%Y%m%d    %H%M%S")


class LibraryPort:
    """The LibrarySystem port over a Library."""

    currency = "CNY"

    def __init__(self, library: Library) -> None:
        self.library = library
        self.silence: Silence | None = None
        self.does_it_all_the_same = False

    # ----------------------------------------------------------------------- the port

    async def status(self) -> SystemStatus:
        """See the port."""
        await self._heard()
        return SystemStatus(
            online=True,
            checkin_ok=True,
            checkout_ok=True,
            renewal_ok=True,
            offline_ok=True,
            timeout_s=1.0,
            retries=3,
            version="2.00",
            institution="city",
            messages="Y" * 16,
        )

    async def patron(self, reader: ReaderNumber, at_ms: int, *, listed: int | None = None) -> Patron:
        """See the port."""
        await self._heard()
        library = self.library
        lent = tuple(barcode for barcode, copy in library.copies.items() if copy.lent_to == reader)
        return Patron(
            valid=reader in library.readers,
            password_valid=None,
            may_borrow=reader not in library.blocked,
            may_renew=True,
            blocked_why=("charge_denied",) if reader in library.blocked else (),
            holds=len(library.held_for(reader)),
            overdue=0,
            charged=len(lent),
            fines=0,
            fee_minor=library.owed.get(reader, OWED),
            currency="CNY",
            items=tuple(library.held_for(reader)) if listed == 0 else lent if listed == 2 else (),
            message="",
        )

    async def item(self, barcode: str, at_ms: int) -> Item:
        """See the port."""
        await self._heard()
        copy = self.library.copies.get(barcode, Copy(title=""))
        status = 4 if copy.lent_to else 8 if copy.held_for else 3
        return Item(
            barcode=barcode, title=copy.title, circulation_status=status, security_marker=2, due=copy.due, message=""
        )

    async def checkout(
        self,
        reader: ReaderNumber,
        barcode: str,
        at_ms: int,
        *,
        no_block: bool = False,
        due_ms: int | None = None,
        undo: bool = False,
    ) -> Loan:
        """See the port."""
        await self._heard(sent=True)
        before = self.library.copies.get(barcode, Copy(title="")).lent_to
        due = sip_date(due_ms) if no_block and due_ms is not None else None
        why = "" if undo else self.library.lend(reader, barcode, due)
        if undo:
            self.library.undo(barcode)
        if self.silence is not None:
            raise LibraryError(self.silence, "message 11")
        copy = self.library.copies.get(barcode, Copy(title=""))
        return Loan(
            ok=not why,
            renewed=before == reader,
            desensitise=not why,
            barcode=barcode,
            title=copy.title,
            due=copy.due,
            fee_minor=None,
            message=why,
        )

    async def checkin(
        self, barcode: str, at_ms: int, returned_ms: int, *, no_block: bool = False, undo: bool = False
    ) -> Return:
        """See the port."""
        await self._heard(sent=True)
        copy = self.library.copies.get(barcode)
        if copy is not None:
            self.library.take_back(barcode, sip_date(returned_ms))
        if self.silence is not None:
            raise LibraryError(self.silence, "message 09")
        return Return(
            ok=copy is not None,
            resensitise=copy is not None,
            alert=copy is not None and copy.held_for is not None,
            barcode=barcode,
            title="" if copy is None else copy.title,
            home="main",
            bin="2",
            message="" if copy is not None else "no such copy",
        )

    async def renew(self, reader: ReaderNumber, barcode: str, at_ms: int) -> Loan:
        """See the port."""
        await self._heard()
        renewed = self.library.renew(reader, barcode)
        copy = self.library.copies.get(barcode, Copy(title=""))
        return Loan(
            ok=renewed,
            renewed=renewed,
            desensitise=False,
            barcode=barcode,
            title=copy.title,
            due=copy.due,
            fee_minor=None,
            message="" if renewed else "not lent to you",
        )

    async def pay(
        self, reader: ReaderNumber, fee_minor: int, currency: str, at_ms: int, *, cash: bool = False, name: str = ""
    ) -> Payment:
        """See the port."""
        await self._heard(sent=True)
        accepted = self.library.pay(reader, fee_minor)
        if self.silence is not None:
            raise LibraryError(self.silence, "message 37")
        return Payment(accepted=accepted, message="" if accepted else "more than is owed")

    async def end_session(self, reader: ReaderNumber, at_ms: int) -> bool:
        """See the port."""
        await self._heard()
        return True

    async def close(self) -> None:
        """Nothing is open."""

    async def _heard(self, *, sent: bool = False) -> None:
        """Take time; be silent. What was sent may be done all the same: the caller goes on and is silent then."""
        await asyncio.sleep(ANSWER_S)
        if self.silence is not None and not (sent and self.does_it_all_the_same):
            raise LibraryError(self.silence, "away")
