"""What the process that sees can no longer do: tried by a process of its own, on this very kernel."""

import platform
import signal
import subprocess
import sys

import pytest

from drivers.camera import confinement
from drivers.camera.confinement import ALLOW, CALLS, DEADLY, KILL, MACHINES, program

CONFINED = """
import ctypes, os, resource, socket, subprocess, sys, threading
import cv2, numpy
from drivers.camera.confinement import confine
held = confine(64, device=False, network={network})
assert held, "no filter"
{what}
print("went on")
"""
here = pytest.mark.skipif(platform.machine() not in MACHINES, reason="no filter for this machine")


def tried(what: str, *, network: bool = True) -> tuple[int, str, str]:
    """Exit code, output and the last line of errors of something tried by a confined process."""
    command = [sys.executable, "-c", CONFINED.format(what=what, network=network)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout.strip(), done.stderr.strip().splitlines()[-1] if done.stderr else ""


@here
@pytest.mark.parametrize(
    "what",
    [
        "os.execv('/bin/true', ['true'])",
        "ctypes.CDLL(None).ptrace(0, 0, 0, 0)",
        "ctypes.CDLL(None).syscall(0x40000000 + 39)"
        if platform.machine() == "x86_64"
        else "os.execv('/bin/sh', ['sh'])",
    ],
    ids=["another program", "watching another process", "the other table of calls"],
)
def test_what_only_an_intruder_does_ends_it(what: str) -> None:
    """Killed by the kernel."""
    assert tried(what)[0] == -signal.SIGSYS


@here
@pytest.mark.parametrize(
    "what",
    [
        "os.fork()",
        "subprocess.run(['/bin/true'])",
        "open('/tmp/made-by-a-decoder', 'w')",
        "os.open('/dev/null', os.O_RDWR)",
        "os.unlink('/tmp/nobody')",
        "os.kill(os.getppid(), 9)",
        "os.chmod('/tmp', 0o777)",
        "os.setuid(0)",
        "resource.setrlimit(resource.RLIMIT_CORE, (1, 1))",
        "os.mkdir('/tmp/made-by-a-decoder')",
        "socket.socketpair()",
        "os.setxattr('/tmp', 'user.a', b'a')",
    ],
)
def test_what_it_does_not_need_is_refused(what: str) -> None:
    """No process, no file, no right."""
    code, _, error = tried(what)
    assert code == 1 and any(said in error for said in ("PermissionError", "Errno 1]", "not allowed")), error


@here
@pytest.mark.parametrize(
    "what",
    [
        "cv2.imdecode(cv2.imencode('.jpg', numpy.zeros((720, 1280), numpy.uint8))[1], 0)",
        "t = threading.Thread(target=lambda: None); t.start(); t.join()",
        "socket.create_server(('127.0.0.1', 0)) if False else socket.socket().close()",
        "open('/proc/self/status').read()",
        "import zxingcpp, fractions",
        "os.getrandom(8)",
    ],
)
def test_what_it_needs_works(what: str) -> None:
    """Pictures, threads, a camera in the network, modules that are loaded late."""
    assert tried(what)[:2] == (0, "went on")


UNPRIVILEGED = """
import codecs, ctypes, os
from drivers.camera.confinement import confine
codecs.lookup("ascii")  # while its file may be read
if os.getuid() == 0:
    os.setgid(65534), os.setuid(65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as it is after an exec
print(os.stat("/proc/self/environ").st_uid == os.getuid())
confine(64, device=False, network=False)
print(os.stat("/proc/self/environ").st_uid == os.getuid())
"""


def test_no_core_is_written_of_it_also_where_a_program_takes_them() -> None:
    """It is not dumpable, so the kernel gives its inside to root alone (proc(5)): whoever takes cores gets none."""
    command = [sys.executable, "-c", UNPRIVILEGED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.split() == ["True", "False"]


@here
def test_a_camera_at_this_machine_needs_no_network() -> None:
    """A process that looks at a device or a file can tell nobody but the daemon."""
    code, _, error = tried("socket.socket()", network=False)
    assert code == 1 and "PermissionError" in error


@here
def test_memory_has_a_limit() -> None:
    """Beyond what it began with, 64 MiB."""
    code, _, error = tried("numpy.ones(32 << 20, numpy.uint8); numpy.ones(128 << 20, numpy.uint8)")
    assert code == 1 and "memory" in error.lower()


def run(code: list[tuple[int, int, int, int]], *, arch: int, number: int, arguments: tuple[int, ...] = (0,) * 6) -> int:
    """A reader of classic BPF, as far as the filter uses it."""
    words = {0: number, 4: arch} | {16 + 8 * at: value for at, value in enumerate(arguments)}
    at = held = 0
    while True:
        kind, yes, no, value = code[at]
        at += 1
        match kind:
            case confinement.LOAD:
                held = words[value]
            case confinement.EQUAL:
                at += yes if held == value else no
            case confinement.ANY_BIT:
                at += yes if held & value else no
            case _:
                return value


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("device", [True, False])
def test_the_filter_for_every_machine(machine: str, device: bool) -> None:
    """What is listed is allowed, what is deadly kills, anything else is refused; read by a reader of our own."""
    arch, column, _ = MACHINES[machine]
    code = program(machine, device=device, network=True)
    for numbers in CALLS.values():
        if numbers[column] is not None:
            assert run(code, arch=arch, number=numbers[column] or 0) == ALLOW
    for numbers in DEADLY.values():
        assert run(code, arch=arch, number=numbers[column] or 0) == KILL
    openat, clone = confinement.OPENAT[column], confinement.CLONE[column]
    assert run(code, arch=arch, number=openat) == ALLOW
    assert run(code, arch=arch, number=openat, arguments=(0, 0, 0o102, 0, 0, 0)) == confinement.REFUSE
    assert (run(code, arch=arch, number=openat, arguments=(0, 0, 2, 0, 0, 0)) == ALLOW) is device
    assert run(code, arch=arch, number=clone) == confinement.REFUSE
    assert run(code, arch=arch, number=clone, arguments=(confinement.CLONE_THREAD, 0, 0, 0, 0, 0)) == ALLOW
    assert run(code, arch=arch, number=confinement.CLONE3[column]) == confinement.NOT_THERE
    assert run(code, arch=arch, number=9999) == confinement.REFUSE
    assert run(code, arch=arch ^ 1, number=0) == KILL
