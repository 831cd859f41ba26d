"""The IETF Token Status List: one number for each issued token.

Laws of this file:
- Index i of a list of b bits sits in byte i·b/8, packed from the least significant bit.
- 0 is valid, 1 invalid, 2 suspended; any other value, an unknown list and an index out of range are refused.
"""

from terminal.core.model import Reason
from terminal.core.parameters import ParameterSet

VALID, INVALID, SUSPENDED = 0, 1, 2


def value_at(bits: int, array: bytes, index: int) -> int:
    """The status at `index` of an inflated list; `bits` is 1, 2, 4 or 8. Raises IndexError past its end."""
    per_byte = 8 // bits
    if not 0 <= index < len(array) * per_byte:
        raise IndexError(index)
    return (array[index // per_byte] >> (index % per_byte * bits)) & ((1 << bits) - 1)


def refusal(parameters: ParameterSet, name: str, index: int) -> Reason | None:
    """Why a token with this status entry is refused, or None."""
    found = parameters.status_lists.get(name)
    if found is None:
        return Reason.STATUS_UNKNOWN
    try:
        value = value_at(*found, index)
    except IndexError:
        return Reason.STATUS_UNKNOWN
    if value == VALID:
        return None
    return {INVALID: Reason.STATUS_REVOKED, SUSPENDED: Reason.STATUS_SUSPENDED}.get(value, Reason.STATUS_UNKNOWN)
