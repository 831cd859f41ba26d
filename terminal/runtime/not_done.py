"""How a command that was not carried out is answered.

Laws of this file:
- It says what, and what to try; it never ends the terminal.
"""


class NotDone(Exception):
    """A command that was not carried out; `hint` says what to try."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what, self.hint = what, hint
