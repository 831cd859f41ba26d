"""Is this medium, or the account behind it, blocked?

Laws of this file:
- A block names its scopes; it counts only where a product stands on one of them.
- A medium is looked up by its own refs, its account by the end of its aliases: blocking a replaced card does not
  block the phone whose account moved on to the new one.
"""

from collections.abc import Collection, Iterable

from terminal.core.model import Reason, Ref
from terminal.core.parameters import BlockScope, ParameterSet


def block_on(
    parameters: ParameterSet, medium_refs: Iterable[Ref], account: Ref | None, scopes: Collection[BlockScope]
) -> Reason | None:
    """Why this medium may not be used for these scopes, or None."""
    names = list(medium_refs) if account is None else [*medium_refs, account]
    blocks = [
        block
        for name in names
        for block in parameters.blocks_of.get(name, ())
        if any(scope in scopes for scope in block.scopes)
    ]
    if not blocks:
        return None
    return Reason.REPORTED_LOST if any(block.reported_lost for block in blocks) else Reason.BLOCKED
