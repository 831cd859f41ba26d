"""The process that sees: opens the camera, looks, tells what it read. Begun by the reader: `-m drivers.camera.child`.

Laws of this file:
- What strangers hold up is decoded here and nowhere else; nothing but messages leaves (messages.py).
- It loads its decoders, says that it is ready, and waits for its order on standard input: a spare is ready at once.
  Then it gives up every right it does not need (confinement.py).
- It tells that it is alive at least each `BEAT_S`, from the very thread that looks: a look that hangs is silence.
- It ends by itself when its parent goes, and says why when it cannot go on.
"""

import os
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from drivers.camera.messages import SHOW, Beat, Failed, Message, Order, encode

BEAT_S = 0.2
MEMORY = 71  # exit code: the memory limit was met
FAILED = 70  # exit code: whatever else
SCORE_S = 1.0
OUT_OF_MEMORY = encode(Failed(what="memory limit met", hint="raise memory_mib, or ask for smaller pictures"))


class Teller:
    """The pipe to the daemon. Libraries that print do it elsewhere."""

    def __init__(self) -> None:
        self._out = os.dup(1)
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)

    def tell(self, message: Message) -> None:
        """One whole message."""
        self.send(encode(message))

    def send(self, data: bytes) -> None:
        """Bytes of a message that was made before."""
        while data:
            data = data[os.write(self._out, data) :]


class Orders:
    """Standard input: the order first, then questions; its end is ours."""

    def __init__(self) -> None:
        self._held = b""
        self.show = threading.Event()

    def first(self) -> Order:
        """Wait for the order."""
        return msgspec.json.decode(self._line(), type=Order)

    def listen(self) -> None:
        """Hear questions from now on."""
        threading.Thread(target=self._listen, name="orders", daemon=True).start()

    def _listen(self) -> None:
        while True:
            if self._line() + b"\n" == SHOW:
                self.show.set()

    def _line(self) -> bytes:
        while b"\n" not in self._held:
            data = os.read(0, 4096)
            if not data:
                os._exit(0)
            self._held += data
        line, _, self._held = self._held.partition(b"\n")
        return line


def main() -> None:
    """Load, wait, see, until told otherwise."""
    teller, orders = Teller(), Orders()
    with suppress(BrokenPipeError):
        try:
            _work(teller, orders)
        except MemoryError:
            teller.send(OUT_OF_MEMORY)
            os._exit(MEMORY)
        except ImportError as error:
            hint = "install the camera extra: pip install 'onecard-terminal[camera]'"
            teller.tell(Failed(what=f"{error.name or error} is not installed"[:200], hint=hint))
        except Exception as error:  # whatever a decoder raises: told, and begun anew
            teller.tell(Failed(what=f"{type(error).__name__}: {error}"[:200]))
    os._exit(FAILED)


def _work(teller: Teller, orders: Orders) -> None:
    # Only now, and only here: a daemon that merely imports this file touches no decoder.
    import cv2

    from drivers.camera.confinement import confine
    from drivers.camera.frames import FrameSource, now_ns
    from drivers.camera.looking import Looker
    from drivers.camera.pipeline import Pipeline
    from drivers.camera.video import Wanted, open_camera

    cv2.setNumThreads(1)
    teller.tell(Beat(at_ns=now_ns()))
    order = orders.first()
    pipeline = Pipeline(order.formats, mode="kiosk" if order.mode == "kiosk" else "gate")
    kind = order.source.partition(":")[0]
    confined = confine(order.memory_mib, device=kind == "v4l2", network=kind not in ("v4l2", "file"))
    orders.listen()
    wanted = Wanted(width=order.width, height=order.height, rate=order.rate, exposure_ms=order.exposure_ms)
    source = FrameSource(partial(open_camera, order.source, wanted))
    looker = Looker(source, pipeline, order, confined=confined)
    beaten_ns = pictures = 0
    while True:
        for look in looker.next(BEAT_S):
            teller.tell(look)
        if pictures == 0 < source.health.pictures:
            beaten_ns, pictures = 0, source.health.pictures  # the first picture is news at once
        if orders.show.is_set():
            orders.show.clear()
            picture = looker.picture()
            if picture is not None:
                teller.tell(picture)
        if now_ns() - beaten_ns >= BEAT_S * 1e9:
            beaten_ns = now_ns()
            teller.tell(looker.beat(beaten_ns))


if __name__ == "__main__":
    main()
