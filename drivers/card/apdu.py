"""What a reader must know of the commands it carries (ISO/IEC 7816-3, PC/SC part 3). Pure.

Laws of this file:
- Nothing here knows an application; what follows an answer is `terminal.core.cards.apdu.follow`.
"""

from terminal.core.model import Value

UID = bytes.fromhex("FFCA000000")  # PC/SC part 3: answered by the reader, never by the card


class Limits(Value, frozen=True):
    """What one tap may cost; more is a card that does not answer. A composite purchase: 8 commands, 1,000 bytes."""

    commands: int = 48
    bytes: int = 4096  # of answers
    ms: int = 1500  # from the arrival to the last answer


def t0_command(command: bytes) -> bytes:
    """The command as T=0 carries it: one with data names no length, its answer is fetched (7816-3, 12.2)."""
    return command[:-1] if len(command) > 5 and len(command) == 6 + command[4] else command
