"""pcscd with a virtual reader (vpcd), in namespaces of its own.

    python -m simulators.pcscd DIRECTORY VPCD      inside the namespaces; `Pcscd` starts it there

Laws of this file:
- Its network, mounts and processes are its own: vpcd listens on every address without asking who comes, and the
  machine's own pcscd and readers must never be met. The terminal finds it by PCSCLITE_CSOCK_NAME.
- Cards reach the virtual reader by connected sockets that are handed out over a local one.
- As an init system would, it starts pcscd again when that dies. It ends when its standard input does.
"""

import array
import contextlib
import fcntl
import importlib.util
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

PORT, SLOTS = 35963, 2  # vpcd's own: one reader of two slots, on this port and the next
READER = "Virtual PCD"
LIBRARY = "libifdvpcd.so"
CONFIG = """FRIENDLYNAME "{reader}"
DEVICENAME   /dev/null:{port:#x}
LIBPATH      {library}
CHANNELID    {port:#x}
"""
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1
RESTART_S = 0.2
KILL, STOP, GO, READY, COUNT, STARTS = b"K", b"S", b"G", b"?", b"#", b"N"
SIGNALS = {KILL: signal.SIGKILL, STOP: signal.SIGSTOP, GO: signal.SIGCONT}
READY_S = 10.0


def missing() -> str | None:
    """What keeps cards from being read through pcscd here; None if nothing does."""
    if importlib.util.find_spec("smartcard") is None:
        return "pyscard is not installed (it is built with libpcsclite-dev, swig and gcc)"
    if _daemon() is None:
        return "pcscd is not installed (Debian: apt-get install pcscd)"
    if _library() is None:
        return "the virtual reader vpcd is not here (tools/setup unpacks it from Debian's vsmartcard-vpcd)"
    done = subprocess.run([*_unshare(), "true"], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"no namespace may be made here: {done.stderr.strip()}"


def _daemon() -> str | None:
    return shutil.which("pcscd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def _library() -> Path | None:
    places = (Path(sys.prefix) / "vpcd" / LIBRARY, Path("/usr/lib/pcsc/drivers/serial") / LIBRARY)
    return next((place.resolve() for place in places if place.exists()), None)


def _unshare() -> list[str]:
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", *as_root]


class Pcscd:
    """pcscd and its reader, as seen from outside."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = directory / "run" / "pcscd.comm"
        self._init: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, wait until clients can connect, and name the socket to every later client of this process."""
        library = _library()
        assert library is not None, "ask missing() first"
        (self.directory / "run").mkdir(parents=True, exist_ok=True)
        with (self.directory / "pcscd.log").open("ab") as log:
            command = [*_unshare(), sys.executable, "-m", "simulators.pcscd", str(self.directory), str(library)]
            self._init = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        os.environ["PCSCLITE_CSOCK_NAME"] = str(self.socket)
        until_s = time.monotonic() + READY_S
        while not self._answers():
            if time.monotonic() > until_s or self._init.poll() is not None:
                raise RuntimeError((self.directory / "pcscd.log").read_text(encoding="utf-8", errors="replace"))
            time.sleep(0.02)

    def stop(self) -> None:
        """End everything."""
        if self._init is not None and self._init.stdin is not None:
            self._init.stdin.close()
            self._init.wait(10)
            self._init = None

    def signal(self, which: bytes) -> None:
        """KILL, STOP or GO to pcscd; after KILL it is started again."""
        self._ask(which)

    def handles(self) -> int:
        """How many descriptors pcscd has open: what clients leave behind shows here."""
        return int(self._ask(COUNT)[0])

    def starts(self) -> int:
        """How often it was started."""
        return int(self._ask(STARTS)[0])

    def reach(self, slot: int) -> socket.socket:
        """A connection to a slot, as a card makes it. Raises ConnectionError while there is no pcscd."""
        answer, descriptors = self._ask(b"%d" % slot)
        if not descriptors:
            raise ConnectionError(answer.decode())
        return socket.socket(fileno=descriptors[0])

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return self.socket.exists() and self._ask(READY)[0] == b"ready"
        return False

    def _ask(self, what: bytes) -> tuple[bytes, list[int]]:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(2.0)
            line.connect(str(self.directory / "control"))
            line.sendall(what)
            answer, descriptors, _, _ = socket.recv_fds(line, 100, 1)
        return answer, descriptors


# --------------------------------------------------------------------------- inside the namespaces


class _Init:
    """What runs inside: pcscd's parent, and the hand that reaches its ports."""

    def __init__(self, directory: Path, library: Path) -> None:
        self._run = directory / "run"
        self._config = directory / "conf"
        self._config.mkdir(exist_ok=True)
        text = CONFIG.format(reader=READER, port=PORT, library=library)
        (self._config / "vpcd").write_text(text, encoding="ascii")
        self._hide(directory)
        self._control = socket.socket(socket.AF_UNIX)
        (directory / "control").unlink(missing_ok=True)
        self._control.bind(str(directory / "control"))
        self._control.listen(16)
        self._starts = 0
        self._pcscd = self._start()

    def _hide(self, directory: Path) -> None:
        """Loopback up; /run is ours; no driver of a real reader is found."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
        nothing = directory / "nothing"
        nothing.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "proc", "proc", "/proc"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
        Path("/run/pcscd").mkdir()
        subprocess.run(["mount", "--bind", str(self._run), "/run/pcscd"], check=True)
        if Path("/usr/lib/pcsc/drivers").exists():
            subprocess.run(["mount", "--bind", str(nothing), "/usr/lib/pcsc/drivers"], check=True)

    def _start(self) -> subprocess.Popen[bytes]:
        for left in self._run.iterdir():  # of one that was killed
            left.unlink()
        daemon = _daemon()
        assert daemon is not None
        self._starts += 1
        return subprocess.Popen([daemon, "--foreground", "--config", str(self._config)], stdin=subprocess.DEVNULL)

    def live(self) -> None:
        """Serve until standard input ends."""
        while True:
            ready, _, _ = select.select([self._control, sys.stdin], [], [], 0.05)
            if sys.stdin in ready:
                break
            if self._control in ready:
                line, _ = self._control.accept()
                with line:
                    self._serve(line)
            if self._pcscd.poll() is not None:
                time.sleep(RESTART_S)
                self._pcscd = self._start()
        self._pcscd.send_signal(signal.SIGCONT)
        self._pcscd.terminate()
        self._pcscd.wait(5)

    def _serve(self, line: socket.socket) -> None:
        wish = line.recv(1)
        if wish in SIGNALS:
            self._pcscd.send_signal(SIGNALS[wish])
            line.sendall(b"sent")
        elif wish == READY:
            line.sendall(b"ready" if _listens(PORT + SLOTS - 1) else b"not yet")
        elif wish == COUNT:
            line.sendall(b"%d" % len(list(Path(f"/proc/{self._pcscd.pid}/fd").iterdir())))
        elif wish == STARTS:
            line.sendall(b"%d" % self._starts)
        elif wish:
            self._connect(line, PORT + int(wish))

    def _connect(self, line: socket.socket, port: int) -> None:
        try:
            with socket.create_connection(("127.0.0.1", port), 1.0) as card:
                rights = array.array("i", [card.fileno()])
                line.sendmsg([b"connected"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        except OSError as error:
            line.sendall(str(error).encode()[:100])


def _listens(port: int) -> bool:
    """Whether somebody listens here. Asked of the kernel: a connection would be taken for a card."""
    lines = Path("/proc/self/net/tcp").read_text(encoding="ascii").splitlines()
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in lines[1:])


if __name__ == "__main__":
    _Init(Path(sys.argv[1]), Path(sys.argv[2])).live()
