"""A process that sees and can be bombed: a code that begins with BOMB makes it ask for memory without end.

It stands for a decoder with a fault that a picture can reach; everything else of it is the product's own.
"""

from collections.abc import Sequence

from drivers.camera import child, pipeline
from drivers.camera.pictures import Gray
from drivers.camera.symbols import Symbol

BOMB = b"a picture that a decoder cannot bear"
PIECE = 8 << 20


class BombedPipeline(pipeline.Pipeline):
    """The product's, and the fault."""

    def look(self, gray: Gray, now_s: float) -> list[Symbol]:
        """Read; and choke on what it should not have read."""
        found = super().look(gray, now_s)
        if any(one.payload.startswith(BOMB) for one in found):
            _eat()
        return found


def _eat() -> Sequence[bytes]:
    """Until the limit."""
    held = []
    while True:
        held.append(bytes(PIECE))


if __name__ == "__main__":
    pipeline.Pipeline = BombedPipeline  # type: ignore[misc]  # a planted fault
    child.main()
