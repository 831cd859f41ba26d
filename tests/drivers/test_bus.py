"""The wire to a Modbus board: which answer is to which request."""

import pytest
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadDiscreteInputsResponse,
    WriteMultipleCoilsResponse,
    WriteSingleCoilResponse,
)
from pymodbus.pdu.register_message import WriteMultipleRegistersResponse, WriteSingleRegisterResponse

from drivers.gate import bus

OPEN = bus.coil(1, 0, True)
CASES: dict[str, tuple[ModbusPDU, ModbusPDU, bool]] = {
    "the coil's own echo": (OPEN, WriteSingleCoilResponse(address=0, bits=[True]), True),
    "another coil's echo": (OPEN, WriteSingleCoilResponse(address=4, bits=[True]), False),
    "the echo of switching it off": (OPEN, WriteSingleCoilResponse(address=0, bits=[False]), False),
    "a late poll": (OPEN, ReadDiscreteInputsResponse(bits=[True] * 8), False),
    "a poll": (bus.look(1, 8), ReadDiscreteInputsResponse(bits=[False] * 8), True),
    "a poll of too few": (bus.look(1, 16), ReadDiscreteInputsResponse(bits=[False] * 8), False),
    "a late coil for a poll": (bus.look(1, 8), WriteSingleCoilResponse(address=0, bits=[True]), False),
    "a flash's echo": (bus.FlashCoilRequest(512, 7, 1), WriteSingleCoilResponse(address=512, bits=[True]), True),
    "a register's echo": (bus.registers(1, 3, [4]), WriteSingleRegisterResponse(address=3, registers=[4]), True),
    "another value's echo": (bus.registers(1, 3, [4]), WriteSingleRegisterResponse(address=3, registers=[5]), False),
    "registers' echo": (bus.registers(1, 3, [4, 5]), WriteMultipleRegistersResponse(address=3, count=2), True),
    "all off": (bus.coils(1, [False] * 8), WriteMultipleCoilsResponse(address=0, count=8), True),
    "half of them off": (bus.coils(1, [False] * 8), WriteMultipleCoilsResponse(address=0, count=4), False),
}


@pytest.mark.parametrize(("request_", "answer", "its_own"), CASES.values(), ids=list(CASES))
def test_an_answer_counts_only_for_its_own_request(request_: ModbusPDU, answer: ModbusPDU, its_own: bool) -> None:
    """RTU answers carry no number: what they say must be what was asked."""
    assert bus.answers(request_, answer) is its_own
