"""What a site wrote down about its screens: `[console]`.

Laws of this file:
- It imports nothing that costs memory: every terminal reads it, few have screens.
- Nobody but this machine is served unless a site says so; kiosks and the panel never to anybody else.
"""

from typing import Annotated, Literal

import msgspec

from terminal.core.model import Value


class ConsoleRules(Value, frozen=True, forbid_unknown_fields=True):
    """`[console]`: screens for a browser on this machine."""

    host: str = "127.0.0.1"  # the address to listen on
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8600  # 0: any that is free; status.json says which
    names: tuple[str, ...] = ()  # by which browsers may call it besides this machine's own: "display-7.local"
    language: Literal["both", "zh", "en"] = "both"
    panel: bool = False  # the page a driver or attendant works with; whoever may open a browser here may ask then
    voices: tuple[str, ...] = ()  # directories of spoken phrases; the first that has one wins
    links: dict[str, str] = {}  # other terminals' screens for the index: what → address
