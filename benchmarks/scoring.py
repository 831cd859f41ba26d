"""What a decoder did with a picture, judged by what the picture is known to hold."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import cv2

CHARSETS = ("utf-8", "latin-1", "shift_jis", "gb18030", "big5", "euc_kr", "iso8859-5", "utf-16-be", "cp437")
Read = Callable[[Any], list[tuple[tuple[float, float], bytes]]]  # gray picture -> centres and payloads


class Tally(NamedTuple):
    """What one decoder did with one picture."""

    read: int
    wrong: bool
    unsaid: int
    ms: float


def tally(reader: Read, gray: Any, codes: list[Any]) -> Tally:
    began = time.thread_time()
    symbols = reader(gray)
    ms = (time.thread_time() - began) * 1000
    read = sum(any(_is(code, centre, payload) for centre, payload in symbols) for code in codes)
    said = [code for code in codes if "payload_hex" in code]
    told = bool(said) or not codes
    unsaid = sum(not any(_is(code, *one) for code in said) for one in symbols) if told else 0
    return Tally(read, bool(unsaid) and not read, unsaid, ms)


def _is(code: dict[str, Any], centre: tuple[float, float], payload: bytes) -> bool:
    if "hull" in code:
        return cv2.pointPolygonTest(code["hull"], centre, False) >= 0  # its third argument has no name
    said = bytes.fromhex(code["payload_hex"])
    if payload == said:
        return True
    try:
        text = said.decode()
    except UnicodeDecodeError:
        return False
    return any(text.encode(charset, "replace") == payload for charset in CHARSETS)


def figures(name: str, found: dict[str, list[tuple[int, Tally]]]) -> dict[str, float]:
    every = [one for category in found.values() for one in category]
    with_codes = {category: [one for one in ones if one[0]] for category, ones in found.items()}
    rates = {
        category: 100 * sum(tally.read for _, tally in ones) / sum(codes for codes, _ in ones)
        for category, ones in with_codes.items()
        if ones
    }
    ms = sorted(tally.ms for _, tally in every)
    return {
        f"{name}_pictures": len(every),
        f"{name}_read": sum(tally.read > 0 for _, tally in every),
        f"{name}_wrong": sum(tally.wrong for _, tally in every),
        f"{name}_unsaid": sum(tally.unsaid for _, tally in every),
        f"{name}_percent": 100 * sum(tally.read > 0 for _, tally in every) / len(every),
        f"{name}_rate": statistics.fmean(rates.values()) if rates else 0.0,
        f"{name}_ms_p50": statistics.median(ms),
        f"{name}_ms_p95": ms[min(len(ms) - 1, int(0.95 * len(ms)))],
    } | {f"{name}_rate_{category}": rate for category, rate in rates.items()}
