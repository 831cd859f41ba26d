"""What every library system is asked, over real TCP: ours that pretends, and somebody else's SIP2 server."""

import asyncio
import atexit
import contextlib
import functools
import logging
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.clock import SystemClock
from drivers.library import sip2, sip2_codec
from simulators.library import Copy, Dialect, Library
from terminal.core.library import ReaderNumber, Silence
from terminal.core.money import minor_of
from terminal.ports import DeviceError, LibraryError
from tests import peers
from tests.waiting import until

AT_MS = 1_800_000_000_000
READER, STRANGER = ReaderNumber("R1"), ReaderNumber("R9")
NAME = "must not be kept"


def stocked(dialect: Dialect | None = None) -> Library:
    """Two copies and one reader."""
    library = Library(dialect)
    library.readers = {"R1": NAME}
    library.copies = {
        "B1": Copy("三体"), "B2": Copy("Dream of the Red Chamber"), "B3": Copy("城南旧事", held_for="R1"),
    }  # fmt: skip
    return library


@contextlib.asynccontextmanager
async def meeting(library: Library, **options: Any) -> AsyncIterator[sip2.Sip2]:
    """The driver, at a pretend system."""
    await library.start()
    system = sip2.open(
        sip2.Settings(host="127.0.0.1", port=library.port, **{"timeout_s": 10.0} | options), SystemClock()
    )
    try:
        yield system
    finally:
        await system.close()
        await library.stop()


@contextlib.asynccontextmanager
async def somebody_elses(**options: Any) -> AsyncIterator[sip2.Sip2]:
    """The driver, at an independent server in a process and an environment of its own."""
    python = await asyncio.to_thread(peers.environment, "sip2")
    server = subprocess.Popen(
        [str(python), str(Path(peers.__file__).parent / "sip2_server.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert server.stdout is not None
    try:
        port = int(await asyncio.to_thread(server.stdout.readline))
        system = sip2.open(sip2.Settings(host="127.0.0.1", port=port, **options), SystemClock())
        yield system
        await system.close()
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


@functools.cache
def invenio(charset: str) -> int:
    """The port of another independent server, in an environment of its own; it serves every test of this process."""
    python = peers.environment("invenio-sip2")
    script = Path(peers.__file__).parent / "invenio_sip2_server.py"
    server = subprocess.Popen([str(python), str(script), charset], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    atexit.register(peers.end, server)
    assert server.stdout is not None
    if not (said := server.stdout.readline()):
        server.stdout.close()
        raise OSError(f"{script.name} ended before it listened, exit code {server.wait()}")
    return int(said)


@contextlib.asynccontextmanager
async def yet_another(charset: str) -> AsyncIterator[sip2.Sip2]:
    """The driver, at invenio-sip2, both copies on the shelf."""
    port = await asyncio.to_thread(invenio, charset)
    settings = sip2.Settings(
        host="127.0.0.1", port=port, charset=charset, login_user="kiosk", login_password="secret", institution="city"
    )
    system = sip2.open(settings, SystemClock())
    for barcode in ("B1", "B2"):
        await system.checkin(barcode, AT_MS, AT_MS)
    yield system
    await system.close()


@pytest.fixture(
    params=["pretend", "padded", "unchecked", "gbk", "lists all", "somebody else's", "invenio", "invenio gbk"]
)
async def system(request: pytest.FixtureRequest) -> AsyncIterator[sip2.Sip2]:
    """A library system in each dialect."""
    if request.param == "somebody else's":
        async with somebody_elses() as found:
            yield found
        return
    if request.param.startswith("invenio"):
        async with yet_another("gbk" if request.param.endswith("gbk") else "utf-8") as found:
            yield found
        return
    dialects = {
        "padded": Dialect(padded=True),
        "unchecked": Dialect(checks=False),
        "gbk": Dialect(charset="gbk"),
        "lists all": Dialect(lists_all=True),
    }
    dialect = dialects.get(request.param)
    async with meeting(stocked(dialect), charset=dialect.charset if dialect else "utf-8") as found:
        yield found


class TestContract:
    async def test_says_what_it_can_do(self, system: sip2.Sip2) -> None:
        """98, numbers padded or not."""
        status = await system.status()
        assert (status.online, status.checkout_ok, status.version) == (True, True, "2.00")
        assert status.timeout_s is None or status.timeout_s >= 1

    async def test_a_book_goes_out_is_renewed_and_comes_back(self, system: sip2.Sip2) -> None:
        """63, 17, 11, 29, 09, 35: and at every point the system agrees."""
        before = await system.patron(READER, AT_MS, listed=2)
        assert (before.valid, before.may_borrow, before.charged, before.items) == (True, True, 0, ())
        lent = await system.checkout(READER, "B1", AT_MS)
        assert (lent.ok, lent.title, lent.desensitise, lent.barcode) == (True, "三体", True, "B1")
        assert lent.due
        assert (await system.item("B1", AT_MS)).circulation_status == 4
        after = await system.patron(READER, AT_MS, listed=2)
        assert (after.charged, after.items) == (1, ("B1",))
        assert (await system.renew(READER, "B1", AT_MS)).ok
        back = await system.checkin("B1", AT_MS, AT_MS - 3_600_000)
        assert (back.ok, back.resensitise, back.home, back.bin) == (True, True, "main", "2")
        assert (await system.item("B1", AT_MS)).circulation_status == 3
        assert await system.end_session(READER, AT_MS)

    async def test_what_is_reserved_is_listed_apart_from_what_is_lent(self, system: sip2.Sip2) -> None:
        """63 with one list or the other, 17 for the title; some systems send all lists at once."""
        await system.checkout(READER, "B1", AT_MS)
        reserved = await system.patron(READER, AT_MS, listed=0)
        assert (reserved.holds, reserved.items) == (1, ("B3",))
        assert (await system.patron(READER, AT_MS, listed=2)).items == ("B1",)
        assert (await system.patron(READER, AT_MS)).items == ()
        copy = await system.item("B3", AT_MS)
        assert (copy.title, copy.circulation_status) == ("城南旧事", 8)
        await system.checkin("B1", AT_MS, AT_MS)

    async def test_not_ok_is_an_answer(self, system: sip2.Sip2) -> None:
        """A stranger, a copy nobody has, a renewal of nothing."""
        assert not (await system.patron(STRANGER, AT_MS)).valid
        refused = await system.checkout(STRANGER, "B1", AT_MS)
        assert not refused.ok
        assert refused.message
        assert not (await system.renew(READER, "B2", AT_MS)).ok
        assert not (await system.checkin("B9", AT_MS, AT_MS)).ok

    async def test_a_loan_whose_security_bit_failed_is_undone(
        self, system: sip2.Sip2, request: pytest.FixtureRequest
    ) -> None:
        """BI=Y: the copy is free again."""
        if "invenio" in request.node.name:
            pytest.skip("invenio-sip2 does not tell its library of BI: there a book must be given back instead")
        assert (await system.checkout(READER, "B2", AT_MS)).ok
        await system.checkout(READER, "B2", AT_MS, undo=True)
        assert (await system.item("B2", AT_MS)).circulation_status == 3

    async def test_money_is_minor_units(self, system: sip2.Sip2) -> None:
        """BV is an amount with a point; ours are integers."""
        patron = await system.patron_status(READER, AT_MS)
        assert (patron.fee_minor, patron.currency) in {(1250, "CNY"), (320, "CNY")}
        assert (await system.pay(READER, 320, "CNY", AT_MS)).accepted
        assert not (await system.pay(READER, 99_900, "CNY", AT_MS)).accepted  # more than is owed
        named = await system.pay(READER, 320, "", AT_MS, cash=True, name="1f0c9a52d7e34b18/214")
        assert named.accepted

    async def test_nothing_of_a_person_is_kept(self, system: sip2.Sip2, caplog: pytest.LogCaptureFixture) -> None:
        """Neither name nor address in any value, nor a reader number in a log."""
        caplog.set_level(logging.DEBUG)
        found = await system.patron(READER, AT_MS)
        assert NAME not in repr(found)
        assert "R1" not in repr(READER) + repr(found) + caplog.text

    async def test_questions_at_once_are_asked_in_turn(self, system: sip2.Sip2) -> None:
        """Each gets its own answer."""
        titles = await asyncio.gather(*(system.item(barcode, AT_MS) for barcode in ["B1", "B2"] * 10))
        assert [item.barcode for item in titles] == ["B1", "B2"] * 10


class TestDialects:
    @pytest.mark.parametrize("whose", ["ours", "somebody else's"])
    async def test_a_system_that_does_not_know_63_is_asked_23(self, whose: str) -> None:
        """The shorter answer says what is owed and whether this is a reader; lists and counts it has not."""
        asked = {"patron_question": "23"}
        async with meeting(stocked(), **asked) if whose == "ours" else somebody_elses(**asked) as at:
            patron = await at.patron(READER, AT_MS, listed=2)
            assert (patron.valid, patron.items, patron.charged) == (True, (), None)
            assert (patron.fee_minor, patron.currency) in {(1250, "CNY"), (320, "CNY")}
            assert not (await at.patron(STRANGER, AT_MS)).valid

    async def test_a_login_comes_first(self) -> None:
        """93 before anything else; a wrong one is told as such."""
        async with meeting(
            stocked(Dialect(login=("kiosk", "secret"))), login_user="kiosk", login_password="secret"
        ) as at:
            assert (await at.item("B1", AT_MS)).title == "三体"
        async with meeting(stocked(Dialect(login=("kiosk", "secret"))), login_user="kiosk", login_password="no") as at:
            assert await silence(at.item("B1", AT_MS)) is Silence.NOT_LOGGED_IN

    async def test_a_login_that_another_server_refuses(self) -> None:
        """940, and nothing else is asked."""
        settings = sip2.Settings(
            host="127.0.0.1", port=await asyncio.to_thread(invenio, "utf-8"), login_user="kiosk", login_password="no"
        )
        at = sip2.open(settings, SystemClock())
        assert await silence(at.item("B1", AT_MS)) is Silence.NOT_LOGGED_IN
        await at.close()

    async def test_a_loan_may_want_an_empty_institution(self) -> None:
        """AO empty or not is the system's taste, and a setting here."""
        async with meeting(stocked(Dialect(institution="")), institution="city") as at:
            assert not (await at.checkout(READER, "B1", AT_MS)).ok
        async with meeting(stocked(Dialect(institution=""))) as at:
            assert (await at.checkout(READER, "B1", AT_MS)).ok

    @pytest.mark.parametrize(("ignores", "ok"), [(False, True), (True, False)])
    async def test_no_block_may_be_ignored(self, ignores: bool, ok: bool) -> None:
        """What already happened may still be refused; then it is an answer like any other."""
        library = stocked(Dialect(ignores_no_block=ignores))
        library.blocked = {"R1"}
        async with meeting(library) as at:
            replayed = await at.checkout(READER, "B1", AT_MS, no_block=True, due_ms=AT_MS + 86_400_000)
            assert replayed.ok is ok

    async def test_a_payment_says_how_and_which_it_is(self) -> None:
        """By cash or by card, in the system's currency where none is named, and by a name of its own."""
        library = stocked()
        async with meeting(library, currency="HKD") as at:
            await at.pay(READER, 5, "", AT_MS, cash=True, name="e/7")
            await at.pay(READER, 1205, "CNY", AT_MS)
        first, second = library.heard
        assert first[2:27] == "20270115    160000" + "01" + "00" + "HKD" and "BV0.05|" in first and "BKe/7|" in first
        assert second[20:27] == "01" + "02" + "CNY" and "BV12.05|" in second and "BK" not in second

    async def test_dates_are_local_and_true(self) -> None:
        """A return that happened offline says when; a loan that did says until when. 1,800,000,000 s is 16:00 +8."""
        library = stocked()
        async with meeting(library) as at:
            await at.checkout(READER, "B1", AT_MS, no_block=True, due_ms=AT_MS)
            assert library.copies["B1"].due == "20270115    160000"
            await at.checkin("B1", AT_MS, AT_MS - 3_600_000, no_block=True)
            assert library.copies["B1"].returned == ["20270115    150000"]


async def silence(asked: Awaitable[object]) -> Silence:
    """How it did not answer."""
    with pytest.raises(LibraryError) as caught:
        await asked
    assert READER + "|" not in str(caught.value)
    return caught.value.silence


def once(what: str, times: int = 1) -> Callable[[str], str | None]:
    """Trouble that comes so often and then ends; logins are left alone."""
    left = [times]

    def trouble(code: str) -> str | None:
        if code == "93" or not left[0]:
            return None
        left[0] -= 1
        return what

    return trouble


QUESTIONS: dict[str, Callable[[sip2.Sip2], Awaitable[object]]] = {
    "23": lambda at: at.patron_status(READER, AT_MS),
    "63": lambda at: at.patron(READER, AT_MS, listed=0),
    "17": lambda at: at.item("B1", AT_MS),
    "11": lambda at: at.checkout(READER, "B1", AT_MS),
    "09": lambda at: at.checkin("B1", AT_MS, AT_MS),
    "29": lambda at: at.renew(READER, "B1", AT_MS),
    "37": lambda at: at.pay(READER, 320, "CNY", AT_MS),
    "35": lambda at: at.end_session(READER, AT_MS),
}
ASKED = sip2.Question(b"", "18", 3, {"AB": "B1"})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("18030201" + "20270115    080000" + "ABB1|AJx|AY3AZ", True),
        ("18030201" + "20270115    080000" + "ABB1|AJx|AY4AZ", False),  # another question's number
        ("18030201" + "20270115    080000" + "ABB2|AJx|AY3AZ", False),  # our question came damaged, and was obeyed
        ("18030201" + "20270115    080000" + "AJx|AY3AZ", True),  # it names nothing
        ("18030201" + "20270115    080000" + "ABB1|AJx|", True),  # it numbers nothing
        ("18030201" + "20270115    080000" + "ABB2|AJx|", False),
        ("36Y" + "20270115    080000" + "AOcity|AY3AZ", False),
    ],
)
def test_which_answer_is_ours(line: str, expected: bool) -> None:
    """Code, number, and the book that it names."""
    body = line.encode()
    whole = body + sip2_codec.checksum(body) if line.endswith("AZ") else body
    assert sip2.answers(sip2_codec.decode(whole, "utf-8"), ASKED) is expected


class TestLine:
    async def test_a_message_whose_checksum_holds_is_whole(self) -> None:
        """Some systems end no answer that they tell again; its end, if it comes after all, is nothing."""
        line, body = sip2.Line(), b"96AZ"
        told = b"36Y20270115    080000AOcity|AY3AZ"
        line.data_received(told[:20])
        line.data_received(told[20:] + sip2_codec.checksum(told))
        line.data_received(b"\r\n" + body)
        assert await line.hear() == told + sip2_codec.checksum(told)
        line.data_received(b"FEF6\r")
        assert await line.hear() == b"96AZFEF6"

    async def test_a_system_that_writes_barcodes_otherwise(self) -> None:
        """Its answers are taken where the site says so, and only there."""
        library = stocked()
        library._on_17 = lambda fixed, fields: (  # type: ignore[method-assign]
            "18030201" + "20270115    080000",
            "AB0000B1|AJx|",
        )
        async with meeting(library) as at:
            assert await silence(at.item("B1", AT_MS)) is Silence.NO_ANSWER
        async with meeting(library, echoes=False) as at:
            assert (await at.item("B1", AT_MS)).barcode == "0000B1"


class TestTrouble:
    @pytest.mark.parametrize(
        ("what", "times", "expected"),
        [
            ("silent", 1, Silence.NO_ANSWER),
            ("close", 1, Silence.CLOSED),
            ("half", 1, Silence.CLOSED),
            ("96", 3, Silence.ASKED_AGAIN),
            ("wrong number", 1, Silence.NO_ANSWER),
            ("late", 1, Silence.NO_ANSWER),
        ],
    )
    async def test_each_silence_has_its_own_name(self, what: str, times: int, expected: Silence) -> None:
        """And the next question is answered, by its own answer."""
        library = stocked()
        library.late_s = 1.5
        async with meeting(library, timeout_s=1.0) as at:
            library.trouble = once(what, times)
            assert await silence(at.item("B1", AT_MS)) is expected
            assert (await at.item("B2", AT_MS)).barcode == "B2"
            assert library.troubles[what] == times

    @pytest.mark.parametrize("code", QUESTIONS)
    @pytest.mark.parametrize(
        ("what", "times", "expected"),
        [("silent", 1, Silence.NO_ANSWER), ("close", 1, Silence.CLOSED), ("96", 3, Silence.ASKED_AGAIN)],
    )
    async def test_whatever_is_asked_is_said_once(self, code: str, what: str, times: int, expected: Silence) -> None:
        """A payment, a renewal, a return: whoever asks hears which silence it was; nothing is said again."""
        library = stocked()
        async with meeting(library, timeout_s=1.0) as at:
            library.trouble = once(what, times)
            assert await silence(QUESTIONS[code](at)) is expected
            assert [line[:2] for line in library.heard] == [code] * times
            assert (await at.item("B2", AT_MS)).barcode == "B2"

    @pytest.mark.parametrize("code", QUESTIONS)
    async def test_whatever_is_asked_of_nobody_was_not_sent(self, code: str) -> None:
        """So it can be asked again."""
        at = sip2.open(sip2.Settings(host="127.0.0.1", port=1, connect_s=0.5), SystemClock())
        assert await silence(QUESTIONS[code](at)) is Silence.UNREACHABLE

    @pytest.mark.parametrize(("what", "times"), [("96", 2), ("garble", 1)])
    async def test_what_is_asked_again_is_told_again(self, what: str, times: int) -> None:
        """A loan is made once, however often the line failed."""
        library = stocked()
        async with meeting(library) as at:
            library.trouble = once(what, times)
            assert (await at.checkout(READER, "B1", AT_MS)).ok
            assert {line[-9:-6] for line in library.heard} == {"AY1"}  # said again with the same number

    @pytest.mark.parametrize("checks", [True, False])
    async def test_an_answer_told_twice_is_heard_once(self, checks: bool) -> None:
        """The second must not answer the next question, also where a system numbers nothing."""
        library = stocked(Dialect(checks=checks))
        async with meeting(library) as at:
            library.trouble = once("twice")
            assert (await at.item("B1", AT_MS)).barcode == "B1"
            await asyncio.sleep(0.02)
            assert (await at.item("B2", AT_MS)).barcode == "B2"

    async def test_nobody_listening_is_told_as_such(self) -> None:
        """Nothing was sent."""
        at = sip2.open(sip2.Settings(host="127.0.0.1", port=1, connect_s=0.5), SystemClock())
        assert await silence(at.item("B1", AT_MS)) is Silence.UNREACHABLE

    async def test_a_restarted_system_is_met_again(self) -> None:
        """The first question after it may be lost; the one after that is not."""
        library = stocked()
        async with meeting(library) as at:
            await at.item("B1", AT_MS)
            port = library.port
            await library.stop()
            await library.start(port)
            await until(lambda: at._line is None or at._line.is_lost)
            assert (await at.item("B1", AT_MS)).barcode == "B1"

    async def test_an_endless_line_ends(self) -> None:
        """A system that sends more than any message is not listened to."""

        async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b"x" * 4096)
                    await writer.drain()

        server = await asyncio.start_server(endless, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        at = sip2.open(sip2.Settings(host="127.0.0.1", port=port, timeout_s=10), SystemClock())
        assert await silence(at.item("B1", AT_MS)) is Silence.GARBLED
        server.close()
        await at.close()

    async def test_a_question_given_up_leaves_no_answer_behind(self) -> None:
        """Cancelled while it waits: its answer must not meet the next question."""
        library = stocked()
        async with meeting(library, timeout_s=10.0) as at:
            library.trouble = once("late")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await at.item("B1", AT_MS)
            assert (await at.item("B2", AT_MS)).barcode == "B2"


class TestBadInput:
    @pytest.mark.parametrize("barcode", ["B1|AAR9", "B1\r", "B1\n09N", "\x00", "B1\x7f"])
    async def test_a_barcode_cannot_say_more_than_itself(self, barcode: str) -> None:
        """A delimiter in it would be another field."""
        library = stocked()
        async with meeting(library) as at:
            assert await silence(at.checkin(barcode, AT_MS, AT_MS)) is Silence.UNSAYABLE
            assert library.heard == []

    async def test_what_the_charset_lacks_is_not_said(self) -> None:
        """And not replaced by a question mark, which is another copy."""
        async with meeting(stocked(Dialect(charset="gbk")), charset="gbk") as at:
            assert await silence(at.item("🐼", AT_MS)) is Silence.UNSAYABLE

    def test_settings_that_cannot_work_are_told(self) -> None:
        """Charset and time zone."""
        with pytest.raises(DeviceError, match="charset"):
            sip2.open(sip2.Settings(host="h", charset="klingon"), SystemClock())
        with pytest.raises(DeviceError, match="time zone"):
            sip2.open(sip2.Settings(host="h", time_zone="Moon/Sea"), SystemClock())

    @pytest.mark.parametrize(
        "line",
        [b"", b"1", b"12", b"121NNY2027", b"99", b"zz" + b" " * 60, b"12" + b"x" * 20_000, b"\xff" * 40],
        ids=["nothing", "short", "no fixed part", "cut", "a question", "unknown", "too long", "no text"],
    )
    def test_what_is_no_answer_is_garbled(self, line: bytes) -> None:
        """One error, never another."""
        with pytest.raises(sip2_codec.Garbled):
            sip2_codec.decode(line, "utf-8")

    @pytest.mark.parametrize(
        ("text", "number", "minor"),
        [
            (" 10", 10, 1000), ("", None, None), (None, None, None), ("0007", 7, 700), ("1 2", None, None),
            ("12.5", None, 1250), ("12,50", None, 1250), ("-3", None, None), ("1.234", None, None), ("٣", None, None),
        ],
    )  # fmt: skip
    def test_numbers_are_read_leniently(self, text: str | None, number: int | None, minor: int | None) -> None:
        """What is no number is None, and never a guess."""
        assert (sip2_codec.number(text), minor_of(text or "", "CNY")) == (number, minor)

    @pytest.mark.parametrize(
        ("said", "minor", "currency"),
        [
            ("BV3.20|BHHKD|", 320, "HKD"), ("BV3.20|", 320, "CNY"), ("BV320|BHJPY|", 320, "JPY"),
            ("BV320.00|BHJPY|", 320, "JPY"), ("BV3.20|BHJPY|", None, "JPY"), ("BV1.250|BHKWD|", 1250, "KWD"),
        ],
    )  # fmt: skip
    def test_what_is_owed_has_a_currency(self, said: str, minor: int | None, currency: str) -> None:
        """The system's own where it says one, the site's otherwise; it has the minor units of that one."""
        line = f"64{' ' * 14}00120990101    120000{'0000' * 6}AO|AAR1|AE|{said}"
        patron = sip2_codec.patron(sip2_codec.decode(line.encode(), "utf-8"), "CNY")
        assert (patron.fee_minor, patron.currency) == (minor, currency)
        lent = f"121NNY{' ' * 18}AO|AAR1|ABB1|AJ|AH|{said}"
        assert sip2_codec.loan(sip2_codec.decode(lent.encode(), "utf-8"), "CNY").fee_minor == minor

    async def test_what_is_paid_is_written_in_its_currency(self) -> None:
        """Yen have no hundredths, on the wire either."""
        library = stocked()
        library.owed["R1"] = 40_000
        async with meeting(library, currency="JPY") as system:
            assert (await system.pay(READER, 320, "", AT_MS)).accepted
            assert (await system.pay(READER, 320, "HKD", AT_MS)).accepted
        assert library.paid == [("R1", 32_000), ("R1", 320)]  # the pretend system counts in hundredths

    def test_the_published_checksum(self) -> None:
        """The worked example that every SIP2 manual prints: 9300…AY3AZEEB3 style lines check themselves."""
        line = sip2_codec.encode("99", "00302.00", {}, 1, "utf-8")
        assert line == b"9900302.00AY1AZFCA5\r"
