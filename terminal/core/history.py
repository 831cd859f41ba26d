"""What past entries say of this code, medium and account.

Laws of this file:
- A use is found by its whole code or by its twin (account, generation time): a phone can re-sign the same
  second into other bytes.
- Only what may still matter is asked for: `horizon_ms` bounds every look back.
- A use that was annulled, or whose passage nobody knows, never bars the *account*; the code of an unknown
  passage stays used.
- Pending reservations are part of history: the caller passes them among `uses`.
- A use written while the clock ran ahead still bars its code; of its age nothing is known (time.py, `age_ms`).
- Pass-back is of one run: who rode here before the vehicle turned round rides anew (`_inside`).
"""

from collections.abc import Iterable, Iterator

from terminal.core import accounts
from terminal.core.ledger import EMERGENCY
from terminal.core.model import Credential, History, Instant, PassageMode, Ref, Use, UseState
from terminal.core.parameters import ParameterSet, PassBack, PassBackScope
from terminal.core.time import UNKNOWN_AGE_MS, age_ms

# A code lives for its clamp and two skews: an hour is far beyond any of them, and survives a clock's step.
CODE_MEMORY_MS = 3_600_000


def keys(credential: Credential, account: Ref | None) -> tuple[Ref, ...]:
    """Everything history can be asked by for this presentation."""
    own = (*credential.code_keys, *credential.twin_keys, *credential.medium_refs)
    return own if account is None else (*own, account)


def parties(credential: Credential, account: Ref | None, zone: str = "") -> tuple[Ref, ...]:
    """Every party whose ledger may matter for this presentation at a gate into or out of this zone."""
    channel = accounts.channel_refs(credential.medium_refs, account, credential.issuer)
    own = (*credential.medium_refs, *channel, EMERGENCY, *((accounts.zone_ref(zone),) if zone else ()))
    return own if account is None else (*own, account)


def horizon_ms(parameters: ParameterSet, at: Instant) -> int:
    """The oldest use that can still matter: the code memory, or the longest pass-back window; never before 1970."""
    windows = (product.pass_back.window_s * 1000 for product in parameters.tariff.products)
    return max(0, at.utc_ms - max((CODE_MEMORY_MS, *windows)))


def gather(credential: Credential, account: Ref | None, uses: Iterable[Use]) -> History:
    """Sort uses into those of this code and those of this party, newest first."""
    # For a moment a use is both durable and still pending; it is one use, and the durable one has a name.
    once = {(use.lane, use.at_ms, use.code_key): use for use in sorted(uses, key=lambda use: use.name is not None)}
    newest = sorted(once.values(), key=lambda use: use.at_ms, reverse=True)
    return History(
        same_code=tuple(use for use in newest if _same_code(credential, use)),
        same_party=tuple(use for use in newest if _same_medium(credential, use) or _same_account(account, use)),
    )


def used(credential: Credential, history: History) -> Use | None:
    """The use that stands against this code, or None. An annulled one stands against nothing."""
    for use in history.same_code:
        if _same_code(credential, use) and use.state is not UseState.ANNULLED:
            return use
    return None


def left_over(history: History) -> Use | None:
    """The newest use of this code if it was annulled with people still outside: they may come now."""
    newest = history.same_code[0] if history.same_code else None
    return newest if newest is not None and newest.state is UseState.ANNULLED else None


def of_other_codes(history: History) -> History:
    """What the party did otherwise than by this code."""
    others = tuple(use for use in history.same_party if use not in history.same_code)
    return History(same_party=others)


def repeat_is_question(use: Use, lane: str) -> bool:
    """Whether showing this used code again only asks "did it work?".

    On a vehicle (passage assumed) always; at a gate only at the same one, before its passage was completed.
    """
    if use.passage is PassageMode.ASSUMED:
        return True
    return use.lane == lane and use.state is UseState.RESERVED


def asked_again(credential: Credential, history: History, at: Instant, repeat_s: int) -> Use | None:
    """The use a card that is held out again on the same vehicle asks about, or None."""
    newest = _newest(credential, history, at)
    if newest is None or newest.passage is not PassageMode.ASSUMED or newest.state is not UseState.COMMITTED:
        return None
    return newest if age_ms(newest.at_ms, at.utc_ms) < repeat_s * 1000 else None


def unwalked(credential: Credential, history: History, lane: str, at: Instant, honour_s: int) -> Use | None:
    """The newest use of this card that was paid and not walked on, as far as anybody knows: it still holds."""
    newest = _newest(credential, history, at)
    if newest is None or age_ms(newest.at_ms, at.utc_ms) >= honour_s * 1000:
        return None
    waits_here = newest.state is UseState.RESERVED and newest.lane == lane
    return newest if waits_here or newest.state in (UseState.ANNULLED, UseState.UNKNOWN) else None


def rides_along(
    pass_back: PassBack, credential: Credential, account: Ref | None, history: History, at: Instant, run_ms: int
) -> bool:
    """Whether this party rides on this run already, which began then: whoever taps now is a companion."""
    return any(_inside(pass_back, credential, account, history, at, run_ms))


def too_soon(
    pass_back: PassBack, credential: Credential, account: Ref | None, history: History, at: Instant, run_ms: int
) -> bool:
    """Whether this party has used up itself and its companions for now, on the run that began then (0: no run)."""
    if pass_back.window_s <= 0:
        return False
    return sum(1 for _ in _inside(pass_back, credential, account, history, at, run_ms)) > pass_back.companions


def _inside(
    pass_back: PassBack, credential: Credential, account: Ref | None, history: History, at: Instant, run_ms: int
) -> Iterator[Use]:
    """The party's grants inside the window, and on this run, for which somebody stands charged.

    A run that began in the future was written while the clock ran ahead: nothing says what came before it, so the
    window alone counts.
    """
    by_account = pass_back.scope is PassBackScope.ACCOUNT
    since_ms = run_ms if age_ms(run_ms, at.utc_ms) < UNKNOWN_AGE_MS else 0
    for use in history.same_party:
        young = age_ms(use.at_ms, at.utc_ms) < pass_back.window_s * 1000
        mine = _same_medium(credential, use) or (by_account and _same_account(account, use))
        charged = use.persons_charged > 0 and use.state is not UseState.UNKNOWN
        if young and mine and charged and use.at_ms >= since_ms:
            yield use


def _newest(credential: Credential, history: History, at: Instant) -> Use | None:
    own = (use for use in history.same_party if _same_medium(credential, use))
    return next((use for use in own if age_ms(use.at_ms, at.utc_ms) < UNKNOWN_AGE_MS), None)


def _same_code(credential: Credential, use: Use) -> bool:
    return use.code_key in credential.code_keys or use.twin_key in credential.twin_keys


def _same_medium(credential: Credential, use: Use) -> bool:
    return use.medium in credential.medium_refs


def _same_account(account: Ref | None, use: Use) -> bool:
    return account is not None and use.account == account
