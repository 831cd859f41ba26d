"""Words, tone and light for every reason: what a person at the lane sees and hears.

Laws of this file:
- The class of a person is never spoken or shown large.
- A loss or a block looks and sounds like every other "please ask a member of staff": who stands by learns nothing.
  Staff find the reason in the journal, by the proof on the same display.
- After a committed debit only `ok` tones; red only where trying again cannot help.
- `zh` is spoken up to its first space; the rest is for the screen only. Placeholders are read as numbers.
- The table is written for whoever rides; elsewhere a code is called what that service calls it (`_line`).
"""

import re
from collections.abc import Mapping
from enum import StrEnum

from terminal.core.model import Amount, Reason, Value
from terminal.core.money import money
from terminal.core.screen import Language


class Tone(StrEnum):
    """Sounds, as the field knows them."""

    OK = "ok"
    OK_SOFT = "ok_soft"
    OK_THEN_NOTICE = "ok_then_notice"
    NOTICE = "notice"
    AGAIN = "again"
    STOP = "stop"
    SILENT = "silent"
    EVACUATE = "evacuate"


class Light(StrEnum):
    """Colours, each with its own shape on a screen."""

    GREEN = "green"
    GREEN_BLINK = "green_blink"
    AMBER = "amber"
    AMBER_BLINK = "amber_blink"
    BLUE = "blue"
    RED = "red"
    RED_STEADY = "red_steady"
    WHITE = "white"


class Phrase(Value, frozen=True):
    """One row of the table."""

    zh: str
    en: str
    tone: Tone
    light: Light


class Line(Value, frozen=True):
    """One line in both languages."""

    zh: str
    en: str


class Display(Value, frozen=True):
    """What an indicator is told to show: the phrase with its placeholders filled."""

    reason: Reason
    zh: str
    en: str
    tone: Tone
    light: Light
    hints: tuple[Line, ...] = ()  # what somebody wants to know next
    proof: str = ""  # six characters by which the entry is found again; "" where none was written
    voice: str = ""  # the name of its recording


def _ok(zh: str, en: str, tone: Tone = Tone.OK) -> Phrase:
    return Phrase(zh=zh, en=en, tone=tone, light=Light.GREEN)


def _again(zh: str, en: str, tone: Tone = Tone.AGAIN) -> Phrase:
    return Phrase(zh=zh, en=en, tone=tone, light=Light.AMBER)


def _stop(zh: str, en: str) -> Phrase:
    return Phrase(zh=zh, en=en, tone=Tone.STOP, light=Light.RED)


def _ask(zh: str = "请找工作人员", en: str = "Please ask a member of staff") -> Phrase:
    return Phrase(zh=zh, en=en, tone=Tone.NOTICE, light=Light.BLUE)


def _desk(zh: str, en: str) -> Phrase:
    return Phrase(zh=zh, en=en, tone=Tone.STOP, light=Light.AMBER)


_NOT_READ = _again("没读到 请再刷一次", "Not read. Please try again")
_REFRESH = _again("请刷新乘车码", "Please refresh your code")
_NOT_ACCEPTED = _stop("本机不支持此码", "This code is not accepted here")
_NO_CARD = _stop("本机不支持此卡", "This card is not accepted here")
_ONLINE = Phrase(
    zh="暂时联不上网 请换卡或乘车码",
    en="Offline now. Use your card or ride code",
    tone=Tone.STOP,
    light=Light.AMBER,
)
_OUT = Phrase(
    zh="本机暂停服务 请用旁边", en="Out of service. Please use the next one", tone=Tone.SILENT, light=Light.RED_STEADY
)

PHRASES: dict[Reason, Phrase] = {
    Reason.PAID: _ok("扫码成功 {fare}", "Paid {fare}"),
    Reason.CONCESSION: _ok("您好 请上车", "Hello, please board", Tone.OK_SOFT),
    Reason.PASS_HELD: _ok("欢迎入园", "Welcome"),
    Reason.ADMITTED: _ok("欢迎 请通过", "Welcome, please go through"),
    Reason.GROUP: _ok("欢迎 {n}位 请依次通过", "Welcome, {n} people, one at a time"),
    Reason.ALREADY_PAID: _ok("已付过 不再扣费", "Already paid. No second charge", Tone.OK_SOFT),
    Reason.TRANSFER: _ok("换乘优惠 本次{fare}", "Transfer: {fare}"),
    Reason.CAPPED: _ok("已封顶 本次{fare}", "Cap reached. {fare} this time"),
    Reason.BOARDED: _ok("上车成功 下车请再刷", "You're on. Tap again to get off"),
    Reason.ALIGHTED: _ok("下车成功 {fare}", "Trip ended. {fare}"),
    Reason.UNFINISHED_SETTLED: _ok(
        "已补上次未下车刷卡 {settled} 本次{fare}",
        "Last trip had no tap-out: {settled} charged. This time {fare}",
        Tone.OK_THEN_NOTICE,
    ),
    Reason.EXIT_UNPAIRED: _ok("请下车 稍后扣款", "Accepted. You will be charged later"),
    Reason.CONCESSION_NOT_NOW: _ok("本时段按普通票 {fare}", "Ordinary fare at this hour: {fare}"),
    Reason.CONCESSION_REVIEW_DUE: _ok(
        "资格待年审 本次按{fare}", "Yearly review is due. {fare} this time", Tone.OK_THEN_NOTICE
    ),
    Reason.CONCESSION_USED_UP: _ok(
        "本期次数已用完 本次{fare}", "Rides of this period are used up. {fare}", Tone.OK_THEN_NOTICE
    ),
    Reason.GRACE: Phrase(
        zh="请上车 费用稍后核对",
        en="Please board. Charge will be checked later",
        tone=Tone.OK_SOFT,
        light=Light.GREEN_BLINK,
    ),
    Reason.REENTRY: _ok("欢迎回来 请通过", "Welcome back"),
    Reason.CHECKED_IN: _ok("签到成功", "Checked in"),
    Reason.CHECKED_IN_BEFORE: _ok("已签到 欢迎回来", "Checked in already. Welcome back", Tone.OK_SOFT),
    Reason.EXITED: _ok("谢谢光临 请慢走", "Thank you, goodbye", Tone.OK_SOFT),
    Reason.ACTIVATED: _ask("已激活 请再刷一次入园", "Activated. Please show it again to enter"),
    Reason.CHARGED_TODAY: _ask("今日已扣{fare} 共{n}次", "Charged today: {fare}, {n} times"),
    Reason.NOT_CHARGED_TODAY: _ask("今日未扣费", "Not charged today"),
    Reason.ON_THE_CARD: _ask("卡内余额{balance} 今日已扣{fare}", "On the card: {balance}. Charged today: {fare}"),
    Reason.PAID_BY_CARD: _ok("刷卡成功 {fare} 余额{balance}", "Paid {fare}. Balance {balance}"),
    Reason.ALIGHTED_BY_CARD: _ok("下车成功 {fare} 余额{balance}", "Trip ended. {fare}. Balance {balance}"),
    Reason.SETTLED_BY_CARD: _ok(
        "已补上次未下车刷卡 补{owed} 本次{fare} 余额{balance}",
        "Last trip had no tap-out: {owed} charged. This one {fare}. Balance {balance}",
        Tone.OK_THEN_NOTICE,
    ),
    Reason.SIGNED_IN: _ok("您好 请放书", "Hello. Please put your books down", Tone.OK_SOFT),
    Reason.BORROWED: _ok("借书成功 {due}前还", "Borrowed. Due {due}"),
    Reason.BORROWED_OFFLINE: Phrase(
        zh="已登记借出 {due}前还", en="Loan noted. Due {due}", tone=Tone.OK_SOFT, light=Light.GREEN_BLINK
    ),
    Reason.RETURNED: _ok("还书成功 谢谢", "Returned. Thank you"),
    Reason.RETURNED_OFFLINE: Phrase(
        zh="已登记还书 谢谢", en="Return noted. Thank you", tone=Tone.OK_SOFT, light=Light.GREEN_BLINK
    ),
    Reason.RETURN_ROUTED: _ok("还书成功 请放入{bin}号箱", "Returned. Please put it in bin {bin}"),
    Reason.RENEWED: _ok("续借成功 {due}前还", "Renewed. Due {due}"),
    Reason.RENEW_REFUSED: _again("不能再续 请于{due}前还", "Cannot renew again. Due {due}", Tone.NOTICE),
    Reason.BOOK_ON_HOLD: _again(
        "本书已被预约 请交服务台", "Reserved by another reader. Please hand it to the desk", Tone.NOTICE
    ),
    Reason.BOOK_NOT_RELEASED: Phrase(
        zh="防盗未解除 请把书放回",
        en="Book not yet released. Please put it back",
        tone=Tone.AGAIN,
        light=Light.AMBER_BLINK,
    ),
    Reason.BOOK_NOT_SECURED: Phrase(
        zh="已还 请把书再放一次", en="Returned. Please put it down once more", tone=Tone.AGAIN, light=Light.AMBER_BLINK
    ),
    Reason.BOOK_NOT_ON_PAD: _again("请把书放上 才能办理", "Please put the book on the pad"),
    Reason.BOOK_NOT_RECOGNISED: _again("没认出这本书 请重放", "Book not recognised. Please place it again"),
    Reason.BOOK_PARTS_MISSING: _again("一套书没放齐 请一起放", "Part of a set is missing. Please place all of it"),
    Reason.LOAN_REFUSED: _desk("这本书不能借 请到服务台", "This book cannot be lent. Please ask the desk"),
    Reason.RETURN_REFUSED: _desk("这本书没还成 请到服务台", "Not returned. Please ask the desk"),
    Reason.BOOK_WITH_ANOTHER: _ask("系统显示他人在借 请到服务台", "On loan to somebody else. Please ask the desk"),
    Reason.LOAN_UNSURE: _ask("借书待核对 请到服务台", "The loan has to be checked. Please ask the desk"),
    Reason.RETURN_UNSURE: _ask("还书待核对 请到服务台", "The return has to be checked. Please ask the desk"),
    Reason.PAYMENT_REFUSED: _ask("付款未入账 请到服务台", "The payment was not taken. Please ask the desk"),
    Reason.PAYMENT_UNSURE: _ask("付款待核对 请到服务台", "The payment has to be checked. Please ask the desk"),
    Reason.SEALED_OTHERWISE: _ask(),
    Reason.LOAN_LIMIT: _again(
        "已借满{n}本 还书后可再借", "{n} books out, your limit. Return one to borrow", Tone.NOTICE
    ),
    Reason.OFFLINE_LIMIT: _again(
        "暂时联不上 最多借{n}本", "Offline now: no more than {n} books until we are back", Tone.NOTICE
    ),
    Reason.OFFLINE_NOT_LENT: _again("暂时联不上 请稍后再借", "Offline now. Please borrow it later", Tone.NOTICE),
    Reason.READER_OVERDUE: _again("有书到期未还 还后可借", "A book is overdue. Return it to borrow again", Tone.NOTICE),
    Reason.READER_FINE: _again("待付{amount} 可到服务台办理", "{amount} to pay at the desk", Tone.NOTICE),
    Reason.READER_CODE_WANTED: _again("请出示借阅证 或借阅码", "Please show your library card or code"),
    Reason.READER_ON_HOLD: _ask("请到服务台", "Please ask the desk"),
    Reason.READER_EXPIRED: _ask("借阅证已到期 请到服务台", "Your library card has expired. Please ask the desk"),
    Reason.READER_NOT_OPENED: _ask(
        "还未开通借阅 请到服务台登记", "Borrowing is not set up yet. Please register at the desk"
    ),
    Reason.READER_SESSION_END: Phrase(
        zh="已退出 请取走卡和书",
        en="Signed out. Please take your card and books",
        tone=Tone.OK_SOFT,
        light=Light.WHITE,
    ),
    Reason.LIBRARY_UNREACHABLE: _again(
        "联不上图书馆系统 请稍后再试", "The library system cannot be reached. Please try later", Tone.NOTICE
    ),
    Reason.LIBRARY_NOT_LOGGED_IN: _ask(
        "本机未登录图书馆系统 请找工作人员", "Not signed in to the library system. Please ask a member of staff"
    ),
    Reason.LIBRARY_SILENT: _again(
        "图书馆系统没有应答 结果稍后核对", "No answer from the library system. It will be checked later", Tone.NOTICE
    ),
    Reason.LIBRARY_ASKS_AGAIN: _again(
        "图书馆系统没听清 请再放一次", "The library system did not understand. Please try again"
    ),
    Reason.LIBRARY_HUNG_UP: _again(
        "图书馆系统断开了 结果稍后核对", "The library system hung up. It will be checked later", Tone.NOTICE
    ),
    Reason.LIBRARY_GARBLED: _again(
        "图书馆系统答复不清 结果稍后核对", "The library's answer was garbled. It will be checked later", Tone.NOTICE
    ),
    Reason.MALFORMED: _NOT_READ,
    Reason.TWO_CODES: _again("一次一个码 请只出示一个", "One code at a time, please"),
    Reason.UNKNOWN_FORMAT: _again("请出示乘车码", "Please show the ride code"),
    Reason.LENGTH_WRONG: _NOT_READ,
    Reason.VERSION_NOT_ALLOWED: _NOT_ACCEPTED,
    Reason.CERTIFICATE_MALFORMED: _NOT_ACCEPTED,
    Reason.ROOT_KEY_UNKNOWN: _NOT_ACCEPTED,
    Reason.CERTIFICATE_SIGNATURE_BAD: _NOT_ACCEPTED,
    Reason.CERTIFICATE_EXPIRED: _REFRESH,
    Reason.CERTIFICATE_ISSUER_MISMATCH: _NOT_ACCEPTED,
    Reason.ISSUER_NOT_ACCEPTED: _NOT_ACCEPTED,
    Reason.SIGNATURE_MARK_WRONG: _NOT_READ,
    Reason.ISSUER_SIGNATURE_BAD: _NOT_ACCEPTED,
    Reason.HOLDER_SIGNATURE_BAD: _NOT_ACCEPTED,
    Reason.AUTHORISATION_EXPIRED: _again("乘车码已过期 请刷新", "Code expired. Please refresh"),
    Reason.GENERATED_AFTER_AUTHORISATION: _again("乘车码已过期 请刷新", "Code expired. Please refresh"),
    Reason.CODE_EXPIRED: _again("乘车码已过期 请刷新", "Code expired. Please refresh"),
    Reason.CODE_FROM_FUTURE: _again("请校准手机时间后刷新", "Check your phone's clock, then refresh"),
    Reason.OVER_CEILING: _stop("超出单次限额 请换种方式付款", "Over the limit for one ride. Please pay another way"),
    Reason.BLOCKED: _ask(),
    Reason.REPORTED_LOST: _ask(),
    Reason.CODE_USED: _again("此码已用 请刷新", "Code already used. Please refresh"),
    Reason.TOO_SOON: _again("刚刚刷过 请稍候", "Just used here. Please wait a moment", Tone.NOTICE),
    Reason.NOT_CANONICAL: _NOT_READ,
    Reason.ALGORITHM_MISMATCH: _NOT_ACCEPTED,
    Reason.HEADER_NOT_UNDERSTOOD: _NOT_ACCEPTED,
    Reason.ISSUER_KEY_UNKNOWN: _NOT_ACCEPTED,
    Reason.CLAIMS_MALFORMED: _NOT_ACCEPTED,
    Reason.NOT_YET_VALID: _again("还未生效 请稍后再来", "Not valid yet. Please come later", Tone.NOTICE),
    Reason.TOKEN_EXPIRED: _again("凭证已过期 请更新", "Expired. Please renew it in your app"),
    Reason.WRONG_AUDIENCE: _NOT_ACCEPTED,
    Reason.STATUS_REVOKED: _ask(),
    Reason.STATUS_SUSPENDED: _ask(),
    Reason.STATUS_UNKNOWN: _ask(),
    Reason.ONLINE_ONLY_SOCIAL_SECURITY: _ONLINE,
    Reason.ONLINE_ONLY_MEDICAL: _ONLINE,
    Reason.ONLINE_ONLY_PAYMENT: _ONLINE,
    Reason.CARD_LEFT: _again("请贴稳 别移开", "Hold still, please"),
    Reason.PUT_CARD_BACK: Phrase(
        zh="请放回原卡", en="Please put the same card back", tone=Tone.AGAIN, light=Light.AMBER_BLINK
    ),
    Reason.WAIT_FOR_CARD: _again("请稍候 前一位正在处理", "One moment, finishing the last person", Tone.SILENT),
    Reason.TWO_CARDS: _again("请只放一张卡", "One card only, please"),
    Reason.CARD_UNREADABLE: _NOT_READ,
    Reason.CARD_NOT_GENUINE: _NO_CARD,
    Reason.CARD_UNPROVEN: _NO_CARD,
    Reason.CARD_EXPIRED: _stop("此卡已过有效期 请联系{hotline}", "This card has expired. Please call {hotline}"),
    Reason.CARD_TOO_SLOW: _again("请贴稳 别移开", "Hold still, please"),
    Reason.CARD_COUNTER_FELL: _ask(),
    Reason.CARD_REFUSED: _NOT_READ,
    Reason.PURSE_EXPIRED: _stop("交通功能已到期 请先充值激活", "Transit purse has expired. Top up to renew"),
    Reason.PURSE_NOT_ACTIVE: _stop("此卡未开通交通功能", "Transit is not yet active on this card"),
    Reason.PURSE_LOCKED: _ask(),
    Reason.PURSE_NOT_ROAMING: _NO_CARD,
    Reason.MODULE_UNAVAILABLE: _ask(),
    Reason.NOT_ACCEPTED_HERE: _NO_CARD,
    Reason.COMPANIONS_USED: _again("同行人数已满 请稍候", "No more companions for now", Tone.NOTICE),
    Reason.NOT_INVITED: _ask("请到签到台", "Please go to the registration desk"),
    Reason.NOT_BOOKED: _desk("未查到今日预约 请到服务台", "No booking for today. Please ask the desk"),
    Reason.OUTSIDE_TIME_SLOT: _desk("预约时段 {from}至{to}", "Your time slot is {from} to {to}"),
    Reason.QUOTA_USED: _desk("今日次数已用完", "Today's entries are used up"),
    Reason.NOT_ACTIVATED: _ask("首次使用 请找工作人员", "First use: please see a member of staff"),
    Reason.STILL_INSIDE: _again("已在园内 请找工作人员", "Already inside. Please ask a member of staff", Tone.NOTICE),
    Reason.WRONG_WAY: _again("请从入口进", "Please use the entrance", Tone.NOTICE),
    Reason.ZONE_FULL: _again("人数已满 请稍候", "Full at the moment. Please wait", Tone.NOTICE),
    Reason.CLOSED: Phrase(
        zh="现在闭园 欢迎改日再来", en="Closed now. See you another day", tone=Tone.SILENT, light=Light.RED_STEADY
    ),
    Reason.ENTRY_MISSING: _ask("没有进站记录 请找工作人员", "No entry recorded. Please ask a member of staff"),
    Reason.FARE_NOT_CHOSEN: _again("请按键 选票价后再刷", "Choose the fare first, then tap", Tone.NOTICE),
    Reason.BALANCE_SHORT: _stop("余额不足 请换种方式付款", "Not enough balance. Please pay another way"),
    Reason.GATE_BUSY: _again("请等前一位通过", "Wait for the person ahead", Tone.SILENT),
    Reason.PASSAGE_EXPIRED: _again(
        "未通过 请重新扫码 不重复收费", "You did not pass through. Scan again, no extra charge", Tone.NOTICE
    ),
    Reason.GATE_UNANSWERED: _again(
        "闸机未响应 请再扫一次", "The gate did not answer. Please show it again", Tone.NOTICE
    ),
    Reason.EMERGENCY: Phrase(
        zh="紧急疏散 请直接离开", en="Emergency. Please leave now", tone=Tone.EVACUATE, light=Light.GREEN_BLINK
    ),
    Reason.CLOCK_UNSURE: _ask(),
    Reason.PARAMETERS_MISSING: _OUT,
    Reason.JOURNAL_UNAVAILABLE: _OUT,
    Reason.OUT_OF_SERVICE: _OUT,
}

# What a grant tells besides, likeliest wanted first: a value of this name is there → these words.
HINTS: dict[str, Line] = {
    "until": Line(zh="有效至{until}", en="Valid to {until}"),
    "rides_left": Line(zh="本期还剩{rides_left}次", en="{rides_left} rides left in this period"),
    "change_free": Line(zh="{change_free}前换乘免费", en="Change free until {change_free}"),
    "change_less": Line(zh="{change_less}前换乘优惠", en="Change for less until {change_less}"),
    "cap_reached": Line(zh="今日后续乘车免费", en="No further charge today"),
    "to_cap": Line(zh="距今日封顶还差{to_cap}", en="{to_cap} to today's cap"),
    "next_off": Line(zh="下次乘车{next_fold}折", en="Next ride {next_off}% off"),
}
MOST_HINTS = 2
RIDE, OTHER = "fare", "other"
# What a code is called, by service; OTHER: at any other.
CODES: dict[str, Line] = {
    RIDE: Line(zh="乘车码", en="ride code"),
    "admission": Line(zh="入园码", en="code"),
    OTHER: Line(zh="二维码", en="code"),
}
# What a display says while nobody is there, by service; "": any other.
PROMPTS: dict[str, Line] = {
    "fare": Line(zh="请刷卡 或出示乘车码", en="Tap your card. Or show your ride code"),
    "admission": Line(zh="请出示 入园码或卡", en="Show your code or card"),
    "": Line(zh="请刷卡 或出示二维码", en="Tap your card. Or show your code"),
}

# Said instead, where others listen: what somebody lacks or owes.
_LOOK = Line(zh="请看屏幕", en="Please look at the screen")
_DISCREET = frozenset({Reason.BALANCE_SHORT, Reason.LOAN_LIMIT, Reason.READER_OVERDUE, Reason.READER_FINE})
_NAMES = re.compile(r"\{([a-z_]+)\}")
_FIGURES = re.compile(r"\{[^}]*\}|[.:]")


class _Blank(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


def display(reason: Reason, values: Mapping[str, str | Amount], proof: str = "", service: str = RIDE) -> Display:
    """What to show for a reason at a lane of this service. A placeholder without a value leaves no trace, never fails.

    Values come from our own numbers and parameters, never from a payload.
    """
    phrase, line = PHRASES[reason], _filled(_line(reason, service), values)
    hints = [hint for name, hint in HINTS.items() if name in values][:MOST_HINTS]
    return Display(
        reason=reason,
        zh=line.zh,
        en=line.en,
        tone=phrase.tone,
        light=phrase.light,
        hints=tuple(_filled(hint, values) for hint in hints),
        proof=proof,
        voice=recording(reason, service),
    )


def _line(reason: Reason, service: str) -> Line:
    """The words of the table, a code called as this service calls it."""
    phrase, ridden, here = PHRASES[reason], CODES[RIDE], CODES.get(service, CODES[OTHER])
    return Line(zh=phrase.zh.replace(ridden.zh, here.zh), en=phrase.en.replace(ridden.en, here.en))


def _filled(line: Line, values: Mapping[str, str | Amount]) -> Line:
    return Line(
        zh=_known(line.zh, " ", _told(values, Language.ZH)),
        en=_known(line.en, ". ", _told(values, Language.EN)),
    )


def _known(text: str, at: str, values: _Blank) -> str:
    """The sentences whose values are known: "Borrowed. Due" says less than "Borrowed". One is always said."""
    told = [one for one in text.split(at) if all(values[name] for name in _NAMES.findall(one))]
    return (at.join(told) or text).format_map(values).strip()


def _told(values: Mapping[str, str | Amount], language: Language) -> _Blank:
    return _Blank({name: value_in(value, language) for name, value in values.items()})


def value_in(value: str | Amount, language: Language) -> str:
    """One value as it is told."""
    return money(value, language) if isinstance(value, Amount) else value


def speech(reason: Reason, service: str = RIDE) -> Line:
    """What is said aloud of a reason: the first words before any figure, in each language; what is nobody else's
    business is on the screen only.
    """
    if reason in _DISCREET:
        return _LOOK
    line = _line(reason, service)
    return Line(zh=_first(line.zh.split(" ")[0]), en=_first(line.en))


def recording(reason: Reason, service: str) -> str:
    """The name of what is said aloud: the outcome's, and where a service has words of its own, the service's too."""
    if _line(reason, service) == _line(reason, RIDE):
        return reason.value
    return f"{reason.value}_{service if service in CODES else OTHER}"


def recordings() -> dict[str, Line]:
    """Everything that is said aloud, by the name of its recording."""
    return {recording(reason, service): speech(reason, service) for service in CODES for reason in Reason}


def _first(text: str) -> str:
    """The first piece that has words: figures, and what stands behind a full stop or a colon, are for the screen."""
    pieces = (piece.strip(" ,") for piece in _FIGURES.split(text))
    return next(piece for piece in pieces if piece)


def spoken(shown: Display) -> str:
    """What is said aloud: the Chinese text up to its first space."""
    return shown.zh.split(" ", 1)[0]
