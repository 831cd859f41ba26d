"""The words of a kiosk's pages that are no phrase: titles, buttons, figures.

Laws of this file:
- Every kind of page, every button and every figure has its words in both languages; a test holds it.
- What came of something is a `Reason`, and its words stand in core/phrases.py.
"""

from terminal.core.model import Value
from terminal.core.screen import Language, PageKind, Touch, Word


class Words(Value, frozen=True):
    """The same in both languages."""

    zh: str
    en: str

    def in_(self, language: Language) -> str:
        """In this one."""
        return self.zh if language is Language.ZH else self.en


def _words(zh: str, en: str) -> Words:
    return Words(zh=zh, en=en)


TITLES: dict[PageKind, Words] = {
    PageKind.REST: _words("借书请刷卡或扫码", "To borrow, hold out your card or code"),
    PageKind.RETURNING: _words("请把要还的书放上", "Put down the books you return"),
    PageKind.READER: _words("请把要借的书放上", "Put down the books you borrow"),
    PageKind.ACCOUNT: _words("我的借阅", "My loans"),
    PageKind.BUSY: _words("请稍候", "One moment, please"),
    PageKind.CLOSED: _words("本机暂停服务", "Out of service"),
}
BUTTONS: dict[Touch, Words] = {
    Touch.RETURN: _words("还书", "Return books"),
    Touch.BORROW: _words("借书", "Borrow books"),
    Touch.ACCOUNT: _words("我的借阅", "My loans"),
    Touch.RENEW: _words("续借", "Renew"),
    Touch.RENEW_ALL: _words("全部续借", "Renew all"),
    Touch.LANGUAGE: _words("English", "中文"),  # what one gets
    Touch.DONE: _words("完成", "Done"),
}
FIGURES: dict[Word, Words] = {
    Word.BORROWED: _words("已借", "Borrowed"),
    Word.HOLDS: _words("预约", "Reservations"),
    Word.OVERDUE: _words("逾期", "Overdue"),
    Word.FINES: _words("待付", "To pay"),
    Word.DUE: _words("应还日期", "Due"),
    Word.READY: _words("预约书已到馆 可取", "Reserved: ready to collect"),
    Word.RESERVED: _words("已预约", "Reserved"),
    Word.OFFLINE: _words("暂时联不上图书馆系统 记录稍后上传", "Offline: what you do now is passed on later"),
}
