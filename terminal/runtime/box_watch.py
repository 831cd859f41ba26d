"""Has head office told that the terminal's own box was opened.

Laws of this file:
- Nothing is refused and nothing is forgotten for it: who opens a box may be the technician, and what was not sent yet
  must still reach head office. Head office marks the key, and revokes it where nobody knows who it was.
- An opening is told at once, and at every start that finds the box open; that it is shut again, once it stayed so for a
  minute: a switch that chatters fills no journal.
"""

from collections.abc import Callable

from terminal.ports import BoxSwitch

SHUT_S = 60.0


class BoxWatch:
    """Tells of one box."""

    def __init__(self, switch: BoxSwitch, on_alarm: Callable[[str, str], None]) -> None:
        self.is_open = False
        self._switch = switch
        self._on_alarm = on_alarm

    async def run(self) -> None:
        """Watch until cancelled. Raises DeviceError; started again, it goes on with what was told last."""
        while True:
            if not self.is_open:
                await self._switch.opened()
                self.is_open = True
                self._on_alarm("box_opened", "the terminal's box was opened")
            await self._switch.shut(SHUT_S)
            self.is_open = False
            self._on_alarm("box_shut", "the terminal's box is shut again")
