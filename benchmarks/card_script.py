"""The peer of the card benchmark: a straight-line script over pyscard, as one would write it in ten lines.

Laws of this file:
- It decides nothing, writes nothing and recovers from nothing: it sends what the terminal sent, in that order.
"""

import time
from contextlib import ExitStack

from simulators.pcscd import READER

GOOD = ((0x90, 0x00), (0x6A, 0x83))  # the second: no trip was written yet


class Script:
    """What one would write with pyscard in ten lines: wait, connect, send. The module is connected once, as ours is."""

    def __init__(self, stack: ExitStack) -> None:
        from smartcard import scard  # needs pyscard

        self._scard = scard
        _, self._context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
        stack.callback(scard.SCardReleaseContext, self._context)
        self._module = self._connect("00 01")
        for command in ("00b0960006", "00b095000e"):  # as the terminal does once: both modules stay in step
            self._send(self._module, command)

    def play(self, commands: list[tuple[int, str]]) -> float:
        """Milliseconds from the card's being seen to the last answer."""
        scard, slot = self._scard, f"{READER} 00 00"
        state = scard.SCARD_STATE_UNAWARE
        while not state & scard.SCARD_STATE_PRESENT:
            _, ((_, state, _),) = scard.SCardGetStatusChange(self._context, 1000, [(slot, state)])
        began_ns = time.perf_counter_ns()
        handles = (self._connect("00 00"), self._module)
        for which, command in commands:
            self._send(handles[which], command)
        took_ms = (time.perf_counter_ns() - began_ns) / 1e6
        scard.SCardDisconnect(handles[0][0], scard.SCARD_LEAVE_CARD)
        return took_ms

    def _connect(self, slot: str) -> tuple[int, int]:
        scard = self._scard
        any_protocol = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        code, card, protocol = scard.SCardConnect(
            self._context, f"{READER} {slot}", scard.SCARD_SHARE_EXCLUSIVE, any_protocol
        )
        assert code == 0, scard.SCardGetErrorMessage(code)
        return card, scard.SCARD_PCI_T0 if protocol == scard.SCARD_PROTOCOL_T0 else scard.SCARD_PCI_T1

    def _send(self, handle: tuple[int, int], command: str) -> None:
        code, answer = self._scard.SCardTransmit(*handle, list(bytes.fromhex(command)))
        assert code == 0 and tuple(answer[-2:]) in GOOD, (command, answer)
