"""At a library's kiosk: books lent, given back and renewed, also while the library system is away.

The law: a book that moved is written down before it leaves, and the library system is told of it once: now, or later
in its turn. What it refuses later is a librarian's to settle. No loan and no return is lost, none is told twice.
"""

import asyncio
from typing import Any

import pytest

from simulators.item_tag import Trouble
from simulators.library import Library
from simulators.token_issuer import Wallet
from terminal.core.card import Assurance
from terminal.core.entries import Alarm, Commanded, DenialsSummed
from terminal.core.items import Securing
from terminal.core.library import Loan, ReaderNumber, Silence
from terminal.core.loans import Circulated, Circulation
from terminal.core.model import GateSignal, Reason, Verdict
from terminal.core.screen import Language, PageKind, Touch
from terminal.ports import LibraryError, StoreFull
from terminal.runtime.not_done import NotDone
from tests.stories.library_world import ISSUER, Desk, card_of, kiosk, two_kiosks

AGAIN_S = 60.0  # the library system is found again, and told


@kiosk
async def test_a_reader_borrows_gives_back_and_leaves(desk: Desk) -> None:
    """Card, two books, done; the door lets them through, and alarms once they are back."""
    assert await desk.borrows(card_of("amber"), "B-1", "B-2") == [Reason.BORROWED] * 2
    assert desk.library.lent == [("R-1", "B-1"), ("R-1", "B-2")]
    assert desk.pad.secured == {"B-1": False, "B-2": False}
    assert desk.page.said is not None and desk.page.said.reason is Reason.READER_SESSION_END
    assert await desk.gives_back("B-1") == [Reason.RETURN_ROUTED]
    assert desk.pad.secured == {"B-1": True, "B-2": False}
    assert desk.library.copies["B-1"].lent_to is None
    (signed_in,) = desk.decisions(Verdict.GRANT)
    assert (signed_in.reason, signed_in.assurance) == (Reason.SIGNED_IN, Assurance.STATIC)
    assert [fact.what for fact in desk.circulated()] == [Circulation.LENT, Circulation.LENT, Circulation.RETURNED]


@kiosk
async def test_a_phone_and_an_old_card_sign_in_too(desk: Desk) -> None:
    """The entry says how sure each was."""
    desk.link(desk.head.ref("tok", Wallet("amber").subject), "R-1", b"t" * 12)
    desk.link(desk.head.ref("uid", ISSUER.plain("old").uid), "R-2", b"u" * 12)
    assert await desk.scan(Wallet("amber").code(desk.now_s)) is Reason.SIGNED_IN
    await desk.touch(Touch.DONE)
    assert await desk.tap(ISSUER.plain("old")) is Reason.SIGNED_IN
    assert [fact.assurance for fact in desk.decisions(Verdict.GRANT)] == [Assurance.SIGNED, Assurance.WEAK]


@kiosk
async def test_an_unknown_card_is_sent_to_the_desk_and_linked_there(desk: Desk) -> None:
    """The librarian names the reader, the card is held out, and from then on it is known."""
    assert desk.terminal is not None and desk.terminal.commands is not None
    assert await desk.tap(card_of("caro")) is Reason.READER_NOT_OPENED
    assert [fact.reason for fact in desk.decisions(Verdict.REFER)] == [Reason.READER_NOT_OPENED]
    await asyncio.sleep(10)
    await desk.terminal.commands.ask("7", "library-link", ["desk", "R-2", "adult"])
    assert await desk.tap(card_of("caro")) is Reason.SIGNED_IN
    assert "R-2" not in desk.links.read_text(encoding="utf-8")
    with pytest.raises(NotDone):
        await desk.terminal.commands.ask("7", "library-link", ["nowhere", "R-2"])


@kiosk
async def test_a_link_that_cannot_be_written_ends_nothing(desk: Desk) -> None:
    """The card is not known, the log says why, the kiosk goes on, and the next link holds."""
    assert desk.terminal is not None and desk.terminal.commands is not None
    desk.links.rename(desk.links.with_suffix(".aside"))
    desk.links.mkdir()  # nobody can write there
    await desk.terminal.commands.ask("7", "library-link", ["desk", "R-2", "adult"])
    assert await desk.tap(card_of("caro")) is Reason.READER_NOT_OPENED
    desk.links.rmdir()
    desk.links.with_suffix(".aside").rename(desk.links)
    await desk.terminal.commands.ask("7", "library-link", ["desk", "R-2", "adult"])
    await asyncio.sleep(10)  # longer than the same card is silent
    assert await desk.tap(card_of("caro")) is Reason.SIGNED_IN


@kiosk
async def test_a_lost_card_is_unlinked_at_the_desk(desk: Desk) -> None:
    """It is nobody's from then on, also after a start; the entry says who asked, and nothing of the reader."""
    assert desk.terminal is not None and desk.terminal.commands is not None
    assert await desk.tap(card_of("amber")) is Reason.SIGNED_IN
    await desk.touch(Touch.DONE)
    before = desk.links.read_bytes()
    answer = await desk.terminal.commands.ask("7", "library-unlink", ["R-1"])
    assert answer == {"unlinked": 1, "links": 1}
    assert await desk.tap(card_of("amber")) is Reason.READER_NOT_OPENED
    assert await desk.tap(card_of("birch")) is Reason.SIGNED_IN
    await desk.touch(Touch.DONE)
    for words in (["R-1"], ["R-9"], ["R|1"]):  # forgotten already; nobody's; none
        with pytest.raises(NotDone):
            await desk.terminal.commands.ask("8", "library-unlink", words)
    assert [(fact.who, fact.what) for fact in desk.facts(Commanded)] == [
        ("7", "library-unlink"),
        ("8", "library-unlink"),
        ("8", "library-unlink"),
    ]
    await desk.restart()
    assert await desk.tap(card_of("amber")) is Reason.READER_NOT_OPENED
    desk.links.unlink()
    with pytest.raises(NotDone, match="the table of readers"):
        await desk.terminal.commands.ask("7", "library-unlink", ["R-2"])
    desk.links.write_bytes(before)  # copied over from another kiosk: what stands there counts
    assert await desk.tap(card_of("amber")) is Reason.SIGNED_IN


@kiosk
async def test_a_book_that_is_not_released_was_told_to_nobody(desk: Desk) -> None:
    """The library system comes back while the tag is written, and the writing fails: nobody has that book."""

    async def secure(item: str, on: bool) -> Securing:
        desk.system.silence = None
        await asyncio.sleep(8)  # longer than the library system is looked for
        return Securing.WRITE_FAILED

    desk.system.silence = Silence.UNREACHABLE
    desk.pad.secure = secure  # type: ignore[method-assign]  # a pad that takes its time
    await desk.tap(card_of("amber"))
    desk.pad.lay("B-1")
    await asyncio.sleep(10 + AGAIN_S)
    assert desk.library.copies["B-1"].lent_to is None and desk.replayed() == []
    assert [(fact.what, fact.cancels) for fact in desk.circulated()] == [
        (Circulation.LENT, False),
        (Circulation.UNDONE, True),
    ]


@kiosk
async def test_a_disk_too_full_to_say_that_a_book_stayed(desk: Desk) -> None:
    """It is not told as lent meanwhile, and the entry is written once there is room."""
    assert desk.terminal is not None and desk.terminal.site is not None
    journal, full = desk.terminal.site.journal, True
    append = journal.append

    async def on_a_full_disk(fact: Any, *rest: Any, **options: Any) -> Any:
        if full and isinstance(fact, Circulated) and fact.what is Circulation.UNDONE:
            raise StoreFull("full")
        return await append(fact, *rest, **options)

    journal.append = on_a_full_disk  # type: ignore[method-assign]  # full for this one
    desk.system.silence = Silence.UNREACHABLE
    await desk.tap(card_of("amber"))
    desk.pad.next_write = Trouble.DEAF
    assert await desk.lay("B-1") is Reason.BOOK_NOT_RELEASED
    desk.system.silence = None
    await asyncio.sleep(AGAIN_S)
    assert desk.library.copies["B-1"].lent_to is None
    assert [fact.what for fact in desk.circulated()] == [Circulation.LENT]
    full = False
    await asyncio.sleep(5)
    assert [fact.what for fact in desk.circulated()] == [Circulation.LENT, Circulation.UNDONE]


@kiosk
async def test_a_page_that_flickers_ends(desk: Desk) -> None:
    """A refused book that comes and goes on the pad keeps nobody's account on the screen."""
    await desk.borrows(card_of("birch"), "B-2")
    desk.pad.lay()
    await desk.tap(card_of("amber"))
    assert await desk.lay("B-2") is Reason.LOAN_REFUSED
    for _ in range(40):
        desk.pad.lay()
        await asyncio.sleep(1)
        desk.pad.lay("B-2")
        await asyncio.sleep(1)
    assert desk.page.kind is PageKind.REST and not desk.page.private


@kiosk
async def test_a_button_touched_twice_counts_once(desk: Desk) -> None:
    """The second time was meant for the page that is gone."""
    await desk.borrows(card_of("amber"), "B-1")
    await desk.tap(card_of("amber"))
    await desk.touch(Touch.ACCOUNT)
    renew, asked = desk.system.renew, 0

    async def slowly(*question: Any, **options: Any) -> Any:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.2)
        return await renew(*question, **options)

    desk.system.renew = slowly  # type: ignore[method-assign]  # a library system that thinks
    for _ in range(2):
        desk.screen.touch(Touch.RENEW_ALL)
        await asyncio.sleep(0.1)
    await asyncio.sleep(3)
    assert asked == 1


@kiosk
async def test_nothing_is_half_way_through_while_everybody_leaves(desk: Desk) -> None:
    """An emergency that comes while a book is asked for holds up no stop."""
    assert desk.terminal is not None and desk.terminal.site is not None and desk.terminal.library is not None
    site, (lane,) = desk.terminal.site, desk.terminal.library.kiosks
    checkout = desk.system.checkout

    async def slowly(*question: Any, **options: Any) -> Any:
        await asyncio.sleep(1)
        return await checkout(*question, **options)

    desk.system.checkout = slowly  # type: ignore[method-assign]  # a library system that thinks
    await desk.tap(card_of("amber"))
    desk.pad.lay("B-1")
    await asyncio.sleep(0.2)
    site.note_emergency(GateSignal.EMERGENCY_ON)
    await asyncio.sleep(5)
    assert desk.page.kind is PageKind.CLOSED
    async with asyncio.timeout(1):
        await lane.idle()


@kiosk
async def test_a_book_whose_security_stays_is_not_lent(desk: Desk) -> None:
    """The library system takes the loan back; the book is put down again and lent."""
    desk.pad.next_write = Trouble.LIES
    await desk.tap(card_of("amber"))
    assert await desk.lay("B-1") is Reason.BOOK_NOT_RELEASED
    assert desk.library.copies["B-1"].lent_to is None and desk.pad.secured["B-1"]
    await desk.lay()
    assert await desk.lay("B-1") is Reason.BORROWED
    assert desk.library.copies["B-1"].lent_to == "R-1"


@kiosk
async def test_the_account_shows_itself_to_its_reader_only(desk: Desk) -> None:
    """Loans, fines, in English; renewed; and half a minute later nobody sees anything."""
    await desk.borrows(card_of("amber"), "B-1")
    await desk.tap(card_of("amber"))
    await desk.touch(Touch.LANGUAGE)
    await desk.touch(Touch.ACCOUNT)
    assert (desk.page.kind, desk.page.language, desk.page.private) == (PageKind.ACCOUNT, Language.EN, True)
    assert [row.id for row in desk.rows] == ["B-1"]
    assert await desk.touch(Touch.RENEW, "B-1") is Reason.RENEWED
    assert desk.library.copies["B-1"].due == "20270316    235959"
    await asyncio.sleep(31)
    assert (desk.page.kind, desk.page.private, desk.rows) == (PageKind.REST, False, ())
    assert (await desk.touch(Touch.RENEW, "B-1"), desk.page.kind) == (None, PageKind.REST)


@kiosk
async def test_a_reader_borrows_during_a_network_cut_and_the_library_refuses_later(desk: Desk) -> None:
    """A system that ignores no-block refuses a reader it blocked meanwhile: the list, and nothing held up behind it."""
    assert desk.terminal is not None and desk.terminal.commands is not None
    desk.system.silence = Silence.NO_ANSWER
    assert await desk.borrows(card_of("amber"), "B-1") == [Reason.BORROWED_OFFLINE]
    assert await desk.borrows(card_of("birch"), "B-2") == [Reason.BORROWED_OFFLINE]
    assert desk.library.lent == [] and desk.pad.secured == {"B-1": False, "B-2": False}
    desk.library.dialect.ignores_no_block = True
    desk.library.blocked.add("R-1")
    desk.system.silence = None
    await asyncio.sleep(AGAIN_S)
    assert desk.replayed() == [("listed", "loan_refused"), ("done", "borrowed")]
    assert desk.library.lent == [("R-2", "B-2")]
    await desk.restart()
    listed = (await desk.terminal.commands.ask("7", "library-list", []))["records"]
    assert [(row["book"], row["reader"], row["words"]) for row in listed] == [("B-1", "R-1", "blocked")]
    await desk.terminal.commands.ask("7", "library-settle", [listed[0]["record"], "lent at the desk"])
    assert (await desk.terminal.commands.ask("7", "library-list", []))["records"] == []
    assert [fact.why for fact in desk.settled_list()] == ["lent at the desk"]
    await desk.settled()


@two_kiosks
async def test_returned_at_one_and_lent_at_another_replayed_in_the_wrong_order(one: Desk, two: Desk) -> None:
    """The loan waits until the library system has heard of the return, however late that comes."""
    await one.borrows(card_of("amber"), "B-1")
    one.system.silence = two.system.silence = Silence.UNREACHABLE
    assert await one.gives_back("B-1") == [Reason.RETURNED_OFFLINE]
    await asyncio.sleep(600)
    assert await two.borrows(card_of("birch"), "B-1") == [Reason.BORROWED_OFFLINE]
    two.system.silence = None
    await asyncio.sleep(AGAIN_S)
    assert two.replayed() == [] and two.library.copies["B-1"].lent_to == "R-1"
    one.system.silence = None
    await asyncio.sleep(AGAIN_S)
    assert one.replayed() == [("done", "returned")] and two.replayed() == [("done", "borrowed")]
    book = one.library.copies["B-1"]
    assert book.lent_to == "R-2" and len(book.returned) == 1
    assert one.library.lent == [("R-1", "B-1"), ("R-2", "B-1")]


@two_kiosks
async def test_replayed_in_the_right_order_it_ends_the_same(one: Desk, two: Desk) -> None:
    """The kiosk that took the book back is first."""
    await one.borrows(card_of("amber"), "B-1")
    one.system.silence = two.system.silence = Silence.CLOSED
    await one.gives_back("B-1")
    await two.borrows(card_of("birch"), "B-1")
    one.system.silence = None
    await asyncio.sleep(AGAIN_S)
    two.system.silence = None
    await asyncio.sleep(AGAIN_S)
    assert one.library.copies["B-1"].lent_to == "R-2"
    assert two.replayed() == [("done", "borrowed")]


@kiosk
async def test_an_offline_return_carries_its_true_date(desk: Desk) -> None:
    """Two days without a network are not two days too late."""
    await desk.borrows(card_of("amber"), "B-1")
    desk.system.silence = Silence.UNREACHABLE
    await desk.gives_back("B-1")
    returned_ms = desk.clock.true_ms()
    await asyncio.sleep(2 * 86_400)
    desk.system.silence = None
    await asyncio.sleep(AGAIN_S)
    (written,) = desk.library.copies["B-1"].returned
    (fact,) = [one for one in desk.written() if getattr(one.fact, "waits", False)]
    assert returned_ms - fact.at.utc_ms < 10_000
    assert written.startswith("20270115    16")


@kiosk
async def test_what_may_have_been_done_is_looked_at_before_it_is_told(desk: Desk) -> None:
    """The loan counted, its answer was lost: it is told once."""
    desk.system.silence, desk.system.does_it_all_the_same = Silence.NO_ANSWER, True
    await desk.tap(card_of("amber"))
    desk.system.silence = None
    desk.system.silence = Silence.NO_ANSWER
    assert await desk.lay("B-1") is Reason.BORROWED_OFFLINE
    desk.system.silence = None
    await asyncio.sleep(AGAIN_S)
    assert desk.library.lent.count(("R-1", "B-1")) == 1


async def _cut_between_telling_and_writing(desk: Desk, library: Library) -> None:
    """The power goes when the library system has done it and nothing says so yet."""
    desk.system.silence = Silence.UNREACHABLE
    await desk.borrows(card_of("amber"), "B-1")
    desk.system.silence = None
    async with asyncio.timeout(600):
        while not library.lent:  # loop time: it jumps
            await asyncio.sleep(0.001)
    await desk.cut_power()


@kiosk
async def test_a_crash_between_telling_and_writing_tells_nothing_twice(desk: Desk) -> None:
    """After the restart the library system is asked first."""
    await _cut_between_telling_and_writing(desk, desk.library)
    assert desk.replayed() == []
    await desk.start()
    await asyncio.sleep(AGAIN_S)
    assert desk.replayed() == [("already", "borrowed")]
    assert desk.library.lent == [("R-1", "B-1")]


@kiosk
async def test_after_a_crash_a_return_does_not_end_somebody_elses_loan(desk: Desk) -> None:
    """The return was told and the book lent anew before the terminal is up again: a librarian looks at it."""
    await desk.borrows(card_of("amber"), "B-1")
    desk.system.silence = Silence.UNREACHABLE
    await desk.gives_back("B-1")
    desk.system.silence = None
    async with asyncio.timeout(600):
        while not desk.library.copies["B-1"].returned:  # loop time: it jumps
            await asyncio.sleep(0.001)
    await desk.cut_power()
    assert desk.replayed() == []
    desk.library.lend("R-2", "B-1", "20270601    235959")
    await desk.start()
    await asyncio.sleep(AGAIN_S)
    assert desk.replayed() == [("listed", "return_unsure")]
    assert desk.library.copies["B-1"].lent_to == "R-2"


@kiosk
async def test_a_dead_library_system_holds_nobody_up(desk: Desk) -> None:
    """After the first silence nobody waits for it; the offline limit is the site's."""
    desk.system.silence = Silence.NO_ANSWER
    assert await desk.borrows(card_of("amber"), "B-1", "B-2", "B-3", "B-4") == [
        *([Reason.BORROWED_OFFLINE] * 3),
        Reason.OFFLINE_LIMIT,
    ]
    assert desk.pad.secured["B-4"]


@kiosk
async def test_what_happens_to_a_book_comes_behind_what_happened_before(desk: Desk) -> None:
    """Lent offline, the system is back, and the book comes back before it was told: still in order."""
    desk.system.silence = Silence.UNREACHABLE
    await desk.borrows(card_of("amber"), "B-1")
    assert await desk.gives_back("B-1") == [Reason.RETURNED_OFFLINE]
    await desk.restart()
    desk.system.silence = None
    await asyncio.sleep(AGAIN_S)
    assert desk.replayed() == [("done", "borrowed"), ("done", "returned")]
    assert desk.library.copies["B-1"].lent_to is None


@kiosk
async def test_a_refused_record_holds_up_nothing_of_its_book(desk: Desk) -> None:
    """The loan is on the list; that the book came back is told all the same."""
    desk.library.dialect.ignores_no_block = True
    desk.library.blocked.add("R-1")
    desk.system.silence = Silence.UNREACHABLE
    await desk.borrows(card_of("amber"), "B-1")
    await desk.gives_back("B-1")
    desk.system.silence = None
    await asyncio.sleep(AGAIN_S)
    assert desk.replayed() == [("listed", "loan_refused"), ("done", "returned")]


async def _pays(desk: Desk, *words: str) -> None:
    """Somebody pays at the desk; then time passes."""
    assert desk.terminal is not None and desk.terminal.commands is not None
    await desk.terminal.commands.ask("7", "library-paid", list(words))
    await asyncio.sleep(60)


@kiosk
async def test_a_fee_paid_at_the_desk_is_told_once(desk: Desk) -> None:
    """At once where the library system answers, later where it is away; who took how much is in the journal."""
    await _pays(desk, "R-1", "2.50", "card")
    desk.system.silence = Silence.UNREACHABLE
    await _pays(desk, "R-2", "3")
    assert desk.library.paid == [("R-1", 250)]
    desk.system.silence = None
    await asyncio.sleep(60)
    assert desk.library.paid == [("R-1", 250), ("R-2", 300)]
    assert [(fact.who, fact.fee_minor, fact.cash) for fact in desk.circulated()] == [
        ("7", 250, False),
        ("7", 300, True),
    ]
    assert desk.replayed() == [("done", "paid")] * 2


@kiosk
async def test_a_payment_whose_answer_was_lost_is_not_told_twice(desk: Desk) -> None:
    """What is owed fell by just so much: it is known. Where it did not, a librarian looks."""
    for done, fate in ((True, ("already", "paid")), (False, ("listed", "payment_unsure"))):
        pay = desk.system.pay

        async def lost(*fee: Any, _pay: Any = pay, _done: bool = done, **how: Any) -> Any:
            desk.system.pay = _pay  # type: ignore[method-assign]  # this once
            if _done:
                await _pay(*fee, **how)
            raise LibraryError(Silence.NO_ANSWER, "message 37")

        desk.system.pay = lost  # type: ignore[method-assign]  # the answer is lost
        await _pays(desk, "R-1", "1.00")
        assert desk.replayed()[-1] == fate
    assert desk.library.paid == [("R-1", 100)]


@kiosk
async def test_a_payment_the_library_refuses_is_a_librarians(desk: Desk) -> None:
    """With the amount and the system's words; what is no payment is not written."""
    assert desk.terminal is not None and desk.terminal.commands is not None
    await _pays(desk, "R-1", "99.00")
    (listed,) = (await desk.terminal.commands.ask("7", "library-list", []))["records"]
    assert (listed["what"], listed["fee_minor"], listed["reader"]) == ("paid", 9900, "R-1")
    assert (listed["why"], listed["words"]) == ("payment_refused", "more than is owed")
    await _pays(desk, "R-2", "1.00")  # holds up nobody
    assert desk.library.paid == [("R-2", 100)]
    for words in (["R-1", "0"], ["R-1", "1.5"], ["R-1", "-1"], ["R-1", "1.00", "gold"], ["R|1", "1.00"]):
        with pytest.raises(NotDone):
            await desk.terminal.commands.ask("7", "library-paid", words)
    assert len(desk.circulated()) == 2


@kiosk
async def test_what_another_key_sealed_is_a_librarians(desk: Desk) -> None:
    """The site's key was changed while something waited: listed, not forgotten, and the rest goes on."""
    desk.system.silence = Silence.UNREACHABLE
    await desk.borrows(card_of("amber"), "B-1")
    desk.key = bytes(32)
    await desk.restart()
    desk.system.silence = None
    await asyncio.sleep(AGAIN_S)
    assert desk.replayed() == [("listed", "sealed_otherwise")]
    assert [fact.kind for fact in desk.facts(Alarm)] == ["librarian"]
    assert desk.terminal is not None and desk.terminal.commands is not None
    (record,) = (await desk.terminal.commands.ask("7", "library-list", []))["records"]
    assert (record["what"], record["book"], record["reader"]) == ("lent", "", "")
    for words in (["rubbish", "why"], [record["record"], " "]):
        with pytest.raises(NotDone):
            await desk.terminal.commands.ask("7", "library-settle", words)


@kiosk
async def test_a_record_that_is_never_answered_holds_up_nobody(desk: Desk) -> None:
    """The system is there and asks again and again for that one: after five times a librarian decides."""
    desk.system.silence = Silence.UNREACHABLE
    await desk.borrows(card_of("amber"), "B-1")
    await desk.borrows(card_of("birch"), "B-2")
    asks = desk.system.checkout

    async def deaf(reader: ReaderNumber, barcode: str, at_ms: int, **how: Any) -> Loan:
        if barcode == "B-1":
            raise LibraryError(Silence.ASKED_AGAIN, "3 times")
        return await asks(reader, barcode, at_ms, **how)

    desk.system.checkout = deaf  # type: ignore[method-assign]  # this system has a fault
    desk.system.silence = None
    await asyncio.sleep(AGAIN_S)
    assert desk.replayed() == [("done", "borrowed")]
    await asyncio.sleep(3 * AGAIN_S)
    assert desk.replayed() == [("done", "borrowed"), ("listed", "library_asks_again")]


@kiosk
async def test_on_a_full_disk_nothing_is_told(desk: Desk) -> None:
    """What cannot be written is not done; once there is room it is."""
    desk.system.silence = Silence.UNREACHABLE
    await desk.borrows(card_of("amber"), "B-1")
    desk.disk.full, desk.system.silence = True, None
    await asyncio.sleep(AGAIN_S)
    assert desk.library.lent == [] and desk.replayed() == []
    desk.disk.full = False
    await asyncio.sleep(AGAIN_S)
    assert desk.library.lent == [("R-1", "B-1")] and desk.replayed() == [("done", "borrowed")]


@kiosk
async def test_the_journal_says_neither_who_nor_which_book(desk: Desk) -> None:
    """Neither a reader's number nor a barcode stands in it, told or waiting."""
    await desk.borrows(card_of("amber"), "B-1")
    desk.system.silence = Silence.NO_ANSWER
    await desk.borrows(card_of("amber"), "B-2")
    await desk.gives_back("B-1")
    desk.system.silence = None
    await asyncio.sleep(AGAIN_S)
    written = b"".join(stored.data for stored in desk.disk.stored)
    assert b"circulated" in written and b"replayed" in written
    assert not any(secret in written for secret in (b"R-1", b"B-1", b"B-2"))


@kiosk
async def test_in_an_emergency_the_screen_says_so_and_nothing_is_written(desk: Desk) -> None:
    """Whoever stands there reads it; afterwards the kiosk is at rest."""
    assert desk.terminal is not None and desk.terminal.commands is not None
    await desk.tap(card_of("amber"))
    await desk.terminal.commands.ask("7", "emergency", ["on", "smoke"])
    entries = len(desk.written())
    assert await desk.lay("B-1") is Reason.EMERGENCY
    assert await desk.tap(card_of("birch")) is Reason.EMERGENCY
    assert (desk.page.kind, len(desk.written()), desk.library.lent) == (PageKind.CLOSED, entries, [])
    await asyncio.sleep(60)
    await desk.terminal.commands.ask("7", "emergency", ["off", "false alarm"])
    await asyncio.sleep(1)
    assert desk.page.kind is PageKind.REST


@kiosk
async def test_a_flood_of_strangers_is_summed(desk: Desk) -> None:
    """Codes nobody is linked to, faster than people are: a few entries and a sum."""
    for number in range(30):
        desk.reader.show(Wallet(f"stranger {number}").code(desk.now_s))
    await asyncio.sleep(5)
    own = len(desk.decisions(Verdict.REFER))
    summed = sum(count for fact in desk.facts(DenialsSummed) for count in fact.counts.values())
    assert own < 30 and own + summed == 30


@kiosk
async def test_a_full_disk_releases_nothing(desk: Desk) -> None:
    """What cannot be written is not lent: the library system takes it back, and the door would alarm."""
    await desk.tap(card_of("amber"))
    desk.disk.full = True
    assert await desk.lay("B-1") is Reason.JOURNAL_UNAVAILABLE
    assert desk.library.copies["B-1"].lent_to is None and desk.pad.secured["B-1"]
    desk.disk.full = False
    await desk.lay()
    assert await desk.lay("B-1") is Reason.BORROWED


@kiosk
async def test_books_left_on_the_pad_are_nobodys(desk: Desk) -> None:
    """The next reader does not borrow what the last one left."""
    await desk.tap(card_of("amber"))
    await desk.lay("B-1")
    await desk.touch(Touch.DONE)
    await desk.lay("B-1", "B-2")
    await asyncio.sleep(60)
    await desk.tap(card_of("birch"))
    assert desk.rows == () and desk.library.lent == [("R-1", "B-1")]
    await desk.lay()
    assert await desk.lay("B-2") is Reason.BORROWED


@kiosk
async def test_the_pad_is_pulled_out_and_back(desk: Desk) -> None:
    """Without its pad a kiosk lends nothing that has a tag; the technician hears of it."""
    assert desk.terminal is not None
    desk.pad.plug(False)
    await desk.lay("B-1")
    assert not desk.terminal.status()["devices"]["desk/pad"]["up"]
    desk.pad.plug(True)
    await asyncio.sleep(3)
    assert desk.terminal.status()["devices"]["desk/pad"]["up"]
    await desk.tap(card_of("amber"))
    assert desk.library.lent == [("R-1", "B-1")]


@kiosk
async def test_the_status_names_no_reader(desk: Desk) -> None:
    """Figures only."""
    assert desk.terminal is not None
    desk.system.silence = Silence.UNREACHABLE
    await desk.borrows(card_of("amber"), "B-1")
    status = desk.terminal.status()["library"]
    assert (status["waiting"], status["answers"], status["kiosks"]["desk"]["books"]) == (1, False, {"lent_offline": 1})
    assert "R-1" not in str(desk.terminal.status()) and "B-1" not in str(desk.terminal.status())
