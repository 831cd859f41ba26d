"""The PC/SC calls we use, over pyscard's thin layer (SCard… in winscard.h).

Laws of this file:
- Every call may block for ever: they run in a `Worker` only.
- A result code is an exception with a hint. Success with an empty answer is none: it is `NoAnswer`.
- Only this file knows pyscard. Its monitors are not used: their thread ends when pcscd does, and never comes back.
"""

from typing import NamedTuple

from smartcard import scard

from drivers.card.apdu import UID
from terminal.ports import DeviceError

PNP = "\\\\?PnP?\\Notification"  # a pseudo reader: told when readers come or go
T0 = scard.SCARD_PROTOCOL_T0
ANY_PROTOCOL = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
UNAWARE, CHANGED = scard.SCARD_STATE_UNAWARE, scard.SCARD_STATE_CHANGED
PRESENT, EMPTY, MUTE = scard.SCARD_STATE_PRESENT, scard.SCARD_STATE_EMPTY, scard.SCARD_STATE_MUTE
ABSENT_READER = scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE

# pcscd itself is gone, or what we had of it is: begin anew with a new context.
SERVICE_GONE = {
    scard.SCARD_E_NO_SERVICE, scard.SCARD_E_SERVICE_STOPPED, scard.SCARD_F_COMM_ERROR, scard.SCARD_E_INVALID_HANDLE,
    scard.SCARD_E_SYSTEM_CANCELLED, scard.SCARD_E_CANCELLED, scard.SCARD_E_NO_MEMORY,
}  # fmt: skip
# The reader is: gone, or held by another program. Anything else is the card's.
READER_GONE = {
    scard.SCARD_E_UNKNOWN_READER, scard.SCARD_E_READER_UNAVAILABLE, scard.SCARD_E_NO_READERS_AVAILABLE,
    scard.SCARD_E_SHARING_VIOLATION,
}  # fmt: skip
HINTS = {
    scard.SCARD_E_NO_SERVICE: "is pcscd installed and running? systemctl status pcscd",
    scard.SCARD_E_SHARING_VIOLATION: "another program holds this reader; end it",
    scard.SCARD_E_NO_READERS_AVAILABLE: "plug the reader in; is its driver (libccid) installed?",
}


class PcscError(Exception):
    """A call failed; `code` is its result (pcsclite.h)."""

    def __init__(self, call: str, code: int) -> None:
        super().__init__(f"{call}: {scard.SCardGetErrorMessage(code)} (0x{code & 0xFFFFFFFF:08X})")
        self.code = code

    @property
    def is_the_cards(self) -> bool:
        """Whether it is the card's affair, not the reader's and not pcscd's."""
        return self.code not in SERVICE_GONE | READER_GONE

    def as_device_error(self, where: str) -> DeviceError:
        """What the technician is told."""
        hint = HINTS.get(self.code, "look at the reader's plug and power, and at pcscd's log")
        return DeviceError(f"{where}: {self}", hint=hint)


class NoAnswer(Exception):
    """A command was taken and nothing came back: whether it took effect is unknown."""


class Handle(NamedTuple):
    """A card we hold."""

    card: int
    protocol: int


def _must(call: str, code: int) -> None:
    if code != scard.SCARD_S_SUCCESS:
        raise PcscError(call, code)


def establish() -> int:
    """A new context: one connection to pcscd."""
    code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    _must("SCardEstablishContext", code)
    return int(context)


def release(context: int) -> None:
    """Let go of a context and of everything in it."""
    scard.SCardReleaseContext(context)


def readers(context: int) -> list[str]:
    """Names of the readers there are."""
    code, names = scard.SCardListReaders(context, [])
    if code == scard.SCARD_E_NO_READERS_AVAILABLE:
        return []
    _must("SCardListReaders", code)
    return list(names)


def wait(context: int, reader: str, known: int, timeout_ms: int) -> tuple[int, bytes]:
    """Wait until the reader's state differs from `known`; the state now, and the ATR of what lies there.

    The state's high word counts comings and goings.
    """
    states = [(reader, known), (PNP, UNAWARE)]
    code, found = scard.SCardGetStatusChange(context, timeout_ms, states)
    if code == scard.SCARD_E_TIMEOUT:
        return known, b""
    _must("SCardGetStatusChange", code)
    _, state, atr = found[0]
    return int(state), bytes(atr)


def wait_for_readers(context: int, timeout_ms: int) -> None:
    """Wait until a reader comes or goes."""
    code, _ = scard.SCardGetStatusChange(context, timeout_ms, [(PNP, UNAWARE)])
    if code != scard.SCARD_E_TIMEOUT:
        _must("SCardGetStatusChange", code)


def connect(context: int, reader: str, protocols: int) -> Handle:
    """Take the card, for us alone."""
    code, card, protocol = scard.SCardConnect(context, reader, scard.SCARD_SHARE_EXCLUSIVE, protocols)
    _must("SCardConnect", code)
    return Handle(int(card), int(protocol))


def take(context: int, reader: str, *, restarted: bool, ask_uid: bool) -> tuple[Handle, bytes]:
    """Hold the card; its UID, b"" where the reader gives none or was not asked."""
    handle = connect(context, reader, ANY_PROTOCOL)
    try:
        if restarted:
            handle = restart(handle, ANY_PROTOCOL)
        answer = transmit(handle, UID) if ask_uid else b""
        return handle, answer[:-2] if answer[-2:] == b"\x90\x00" else b""
    except BaseException:
        disconnect(handle)
        raise


def transmit(handle: Handle, command: bytes) -> bytes:
    """One command, one answer. Raises NoAnswer where success comes without one."""
    pci = scard.SCARD_PCI_T0 if handle.protocol == T0 else scard.SCARD_PCI_T1
    code, answer = scard.SCardTransmit(handle.card, pci, list(command))
    _must("SCardTransmit", code)
    if not answer:
        raise NoAnswer("success without an answer")
    return bytes(answer)


def restart(handle: Handle, protocols: int) -> Handle:
    """Cut the card's power and give it back: a cold reset."""
    code, protocol = scard.SCardReconnect(handle.card, scard.SCARD_SHARE_EXCLUSIVE, protocols, scard.SCARD_UNPOWER_CARD)
    _must("SCardReconnect", code)
    return Handle(handle.card, int(protocol))


def disconnect(handle: Handle) -> None:
    """Let go of the card and leave it as it is.

    Never with a reset: pcscd does not see the next card when the last one was reset in the moment it left
    (measured with 1.9.9: held there within 0.4 s, the next one stayed unseen until it was taken away).
    """
    scard.SCardDisconnect(handle.card, scard.SCARD_LEAVE_CARD)
