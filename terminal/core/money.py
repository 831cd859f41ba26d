"""Money as people and other systems write it, in its own currency: one table of minor units behind every amount.

Laws of this file:
- Pure: the same amount in the same language is the same text.
- How many minor units make one is ISO 4217's; a currency that is not named here is told by its code, never by
  another's sign.
- On a screen a whole amount is told without fractions; otherwise every digit stands there, but in yuan, where people
  say 2.5. Elsewhere every digit stands there always.
- What is read and may mean two amounts is none.
"""

import re

from terminal.core.model import Amount, Value
from terminal.core.screen import Language


class Currency(Value, frozen=True):
    """How a currency is written: behind the figure in Chinese, before it in English."""

    zh: str
    sign: str
    trims: bool = False  # 2.50 is written 2.5


CURRENCIES: dict[str, Currency] = {
    "CNY": Currency(zh="元", sign="¥", trims=True),
    "HKD": Currency(zh="港元", sign="HK$"),
    "MOP": Currency(zh="澳门元", sign="MOP$"),
    "TWD": Currency(zh="新台币", sign="NT$"),
    "GBP": Currency(zh="英镑", sign="£"),
    "EUR": Currency(zh="欧元", sign="€"),
    "USD": Currency(zh="美元", sign="US$"),
    "SGD": Currency(zh="新加坡元", sign="S$"),
    "JPY": Currency(zh="日元", sign="JP¥"),
}
# ISO 4217's minor units where there are not two of them.
DIGITS: dict[str, int] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"), 0),
    **dict.fromkeys(("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def money(amount: Amount, language: Language) -> str:
    """200 fen → "2元" and "¥2"; 175 pence → "1.75英镑" and "£1.75"."""
    written = CURRENCIES.get(amount.currency, Currency(zh=amount.currency, sign=f"{amount.currency} "))
    figure = _figure(amount.minor, DIGITS.get(amount.currency, 2), trims=written.trims)
    return f"{figure}{written.zh}" if language is Language.ZH else f"{written.sign}{figure}"


def decimal(minor: int, currency: str) -> str:
    """Every digit, without a sign: 1250 fen → "12.50", 1250 yen → "1250", 1250 Kuwaiti fils → "1.250"."""
    digits = DIGITS.get(currency, 2)
    whole, rest = divmod(minor, 10**digits)
    return f"{whole}.{rest:0{digits}d}" if digits else str(whole)


def minor_of(text: str, currency: str) -> int | None:
    """Minor units of an amount such as "12.5" or "12,50"; None for what is none, or finer than the currency."""
    digits = DIGITS.get(currency, 2)
    found = re.fullmatch(r"([0-9]{1,9})(?:[.,]([0-9]{1,3}))?", text.strip())
    if found is None or len(found[2] or "") > max(digits, 2):
        return None
    fraction = (found[2] or "").ljust(digits, "0")
    if fraction[digits:].strip("0"):
        return None
    return int(found[1] + fraction[:digits])


def _figure(minor: int, digits: int, *, trims: bool) -> str:
    whole, rest = divmod(minor, 10**digits)
    if not rest:
        return str(whole)
    fraction = f"{rest:0{digits}d}"
    return f"{whole}.{fraction.rstrip('0') if trims else fraction}"
