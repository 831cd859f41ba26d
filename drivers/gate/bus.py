"""The wire to one Modbus board: one request at a time, the most urgent first.

Laws of this file:
- One request is on the wire at a time. Whoever wants something leaves a job for the task that owns it (`Board.run`) and
  waits, or finds it free and carries an order itself. Giving up while waiting means that nothing is sent.
- A job is sent once. Its age is looked at in the moment of sending, after all waiting for others.
- An answer counts only if it answers this very request. RTU has no transaction numbers: after one unanswered request
  a late answer could pass for the next one's, so the connection ends there and begins anew.
"""

import asyncio
import heapq
import struct
from enum import IntEnum
from typing import Any

from pymodbus import FramerType, ModbusException
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadDiscreteInputsRequest,
    WriteMultipleCoilsRequest,
    WriteSingleCoilRequest,
)
from pymodbus.pdu.register_message import WriteMultipleRegistersRequest, WriteSingleRegisterRequest
from pymodbus.transport.serialtransport import SerialTransport

from drivers.link import serial_options
from terminal.ports import DeviceError

Client = AsyncModbusSerialClient | AsyncModbusTcpClient
READS = (ReadCoilsRequest.function_code, ReadDiscreteInputsRequest.function_code)


class Urgency(IntEnum):
    """Who goes first."""

    ORDER = 0  # a gate
    LAMP = 1


class NotSent(DeviceError):
    """Certainly not done: the board is not connected, refused, or the order had grown stale while it waited."""


class Job:
    """One request on its way. `not_after_ns`: CLOCK_MONOTONIC after which it must not be sent."""

    def __init__(self, request: ModbusPDU, urgency: Urgency, number: int, not_after_ns: int | None) -> None:
        self.request = request
        self.not_after_ns = not_after_ns
        self.done: asyncio.Future[ModbusPDU] = asyncio.get_running_loop().create_future()
        self._rank = (urgency, number)

    def __lt__(self, other: "Job") -> bool:
        return self._rank < other._rank

    def fail(self, error: DeviceError) -> None:
        """Tell whoever still waits."""
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # looked at: where nobody waits any more, asyncio has nothing to complain of

    def succeed(self, answer: ModbusPDU) -> None:
        """Tell whoever still waits."""
        if not self.done.done():
            self.done.set_result(answer)


class Jobs:
    """Waiting jobs, most urgent first; of equals the oldest."""

    def __init__(self) -> None:
        self._heap: list[Job] = []
        self._came = asyncio.Event()
        self._count = 0

    def leave(self, request: ModbusPDU, urgency: Urgency, not_after_ns: int | None) -> Job:
        """Queue a request."""
        self._count += 1
        job = Job(request, urgency, self._count, not_after_ns)
        heapq.heappush(self._heap, job)
        self._came.set()
        return job

    def take(self, *, orders_only: bool) -> Job | None:
        """The most urgent job nobody gave up; None if there is none (of that kind)."""
        while self._heap:
            if orders_only and self._heap[0]._rank[0] is not Urgency.ORDER:
                return None
            job = heapq.heappop(self._heap)
            if not job.done.done():
                return job
        return None

    async def wait(self, until_s: float) -> None:
        """Return when a job came, or at `until_s` of the loop's time."""
        self._came.clear()
        if not self._heap:
            handle = asyncio.get_running_loop().call_at(until_s, self._came.set)
            try:
                await self._came.wait()
            finally:
                handle.cancel()

    def refuse_all(self, error: NotSent) -> None:
        """Nothing that waits will be sent."""
        while self._heap:
            heapq.heappop(self._heap).fail(error)


# --------------------------------------------------------------------------- requests


class FlashCoilRequest(WriteSingleCoilRequest):
    """Function 5 with tenths of a second for a value: "flash on" of boards that close the relay for so long."""

    def __init__(self, address: int, tenths: int, dev_id: int) -> None:
        super().__init__(address=address, bits=[True], dev_id=dev_id)
        self._tenths = tenths

    def encode(self) -> bytes:
        """Address and tenths of a second, both big-endian."""
        return struct.pack(">HH", self.address, self._tenths)


def coil(unit: int, number: int, on: bool) -> ModbusPDU:
    """Switch one coil (function 5)."""
    return WriteSingleCoilRequest(address=number, bits=[on], dev_id=unit)


def coils(unit: int, values: list[bool]) -> ModbusPDU:
    """Switch the first coils at once (function 15)."""
    return WriteMultipleCoilsRequest(address=0, bits=values, dev_id=unit)


def registers(unit: int, number: int, values: list[int]) -> ModbusPDU:
    """Write one register (function 6), or several (function 16)."""
    if len(values) == 1:
        return WriteSingleRegisterRequest(address=number, registers=values, dev_id=unit)
    return WriteMultipleRegistersRequest(address=number, registers=values, dev_id=unit)


def look(unit: int, inputs: int) -> ModbusPDU:
    """Read the first inputs (function 2); a board that has none is asked for a coil, to see that it is there."""
    if inputs:
        return ReadDiscreteInputsRequest(address=0, count=inputs, dev_id=unit)
    return ReadCoilsRequest(address=0, count=1, dev_id=unit)


def answers(request: ModbusPDU, answer: ModbusPDU) -> bool:
    """Whether `answer` is to this very request: writes are echoed, reads are long enough."""
    if answer.function_code != request.function_code:
        return False
    if request.function_code in READS:
        return len(answer.bits) >= request.count
    if request.function_code == WriteSingleRegisterRequest.function_code:
        return answer.address == request.address and list(answer.registers) == list(request.registers)
    if request.function_code == WriteSingleCoilRequest.function_code:
        return answer.address == request.address and list(answer.bits) == list(request.bits)
    return answer.address == request.address and answer.count == request.count


# --------------------------------------------------------------------------- the connection


def tcp_address(rest: str) -> tuple[str, int]:
    """Host and port of the part behind `tcp:`. Raises DeviceError."""
    host, _, port = rest.rpartition(":")
    if host and port.isdecimal() and 0 < int(port) < 65536:
        return host, int(port)
    raise DeviceError(f"tcp:{rest}: not understood", hint="write tcp:host:port")


def check_link(link: str) -> None:
    """Raises DeviceError for a link that cannot be understood."""
    scheme, _, rest = link.partition(":")
    if scheme == "serial":
        serial_options(rest)
    elif scheme == "tcp":
        tcp_address(rest)
    else:
        raise DeviceError(f"{link}: unknown kind of line", hint="write serial:/dev/… or tcp:host:port")


def make_client(link: str, timeout_s: float) -> Client:
    """The library's client for a link that was checked; wants a running loop."""
    scheme, _, rest = link.partition(":")
    # Never retried, and reconnected by `Board.run` alone: the library's 3 × 3 s would open for somebody else.
    common: dict[str, Any] = {"retries": 0, "timeout": timeout_s, "reconnect_delay": 0}
    if scheme == "serial":
        path, baud, parity = serial_options(rest)
        return AsyncModbusSerialClient(path, framer=FramerType.RTU, baudrate=baud, parity=parity, **common)
    host, port = tcp_address(rest)
    return AsyncModbusTcpClient(host, port=port, **common)


def write_at_once(client: Client) -> None:
    """The library gives bytes to a serial line a turn of the loop later: somebody stands at the gate meanwhile."""
    transport = client.ctx.transport
    if isinstance(transport, SerialTransport):
        later = transport.write

        def write(data: bytes) -> None:
            later(data)
            transport.intern_write_ready()

        transport.write = write  # type: ignore[method-assign]  # of this one connection


async def exchange(client: Client, request: ModbusPDU, where: str) -> ModbusPDU:
    """Send once, wait for the answer.

    Raises NotSent when the board refused, DeviceError when it did not answer or answered something else.
    """
    hint = f"look at the board's plug, power, baud rate and unit {request.dev_id}"
    try:
        answer: ModbusPDU = await client.execute(False, request)
    except (ModbusException, OSError) as error:
        raise DeviceError(f"{where}: the board does not answer: {error}", hint=hint) from error
    if answer.isError():
        refusal = f"{where}: the board refused function {request.function_code}, code {answer.exception_code}"
        raise NotSent(refusal, hint="look at coil, input and register numbers: has this board so many?")
    if not answers(request, answer):
        raise DeviceError(f"{where}: an answer to something else came", hint=hint)
    return answer
