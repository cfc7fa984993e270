"""The part of the program that reads a frame finds what the definition says, in both byte orders."""

from typing import Any

import pytest

from meshlens.ebpf import (
    R0,
    R1,
    R6,
    R7,
    R8,
    R9,
    R10,
    Asm,
    ByteOrder,
    MapSpec,
    MapType,
    ProgramSpec,
    ProgramType,
    Skb,
)
from meshlens.ebpf.emulate import Emulator
from meshlens.packet.craft_wifi import dot11, radiotap
from meshlens.packet.ieee80211 import HeaderFlag
from meshlens.packet.wifi_mix import wifi_mix
from meshlens.wifi.monitor.fields import (
    AMPDU,
    BSSID,
    DAMAGED,
    FREQUENCY,
    KEY,
    KIND,
    NOISE,
    PRESENT,
    RATE,
    SIGNAL,
    SIZE,
)
from meshlens.wifi.monitor.frame import Garbled, Heard, Unreadable, hear
from meshlens.wifi.monitor.layout import BIAS_DB, NAMELESS
from meshlens.wifi.monitor.parse import emit_dot11, emit_radiotap

PLACES = (KEY, RATE, SIGNAL, NOISE, AMPDU, FREQUENCY, BSSID, DAMAGED, SIZE, KIND, PRESENT)
READ, UNREADABLE, NO_HEADER = range(3)
PRESENCE = {SIGNAL: 5, NOISE: 6, AMPDU: 20, FREQUENCY: 3}

ONE, TWO, THREE = (f"02:00:00:00:00:0{number}" for number in (1, 2, 3))
DATA = dot11("data", ONE, TWO, THREE, bytes(9), flags=HeaderFlag.FROM_DS | HeaderFlag.RETRY)
ODD = [
    radiotap(mcs=(7, 5, 15), noise=-90, ampdu=(0x1234567, 0, 0, 0)) + DATA,
    radiotap(rate=22, vht=(0x44, 4, 4, 0x92, 0, 0, 0, 0, 0, 0)) + DATA,
    radiotap(he=(0x4220, 2, 0x9B00, 0, 0x1234, 0xFFF2), rx_flags=2) + DATA,
    radiotap(he=(0x20, 0, 0x9B00, 0, 0x1234, 0xFFF2), signal=-1) + dot11("rts", ONE, "03:00:00:00:00:02"),
    radiotap(channel=(5955, 0)) + dot11("dmg-beacon", ONE),
    radiotap(flags=0x40) + b"\x81" + bytes(30),
    radiotap() + b"\x81" + bytes(30),
    b"\1" + radiotap()[1:] + DATA,
]


def reader(byteorder: ByteOrder) -> Emulator:
    """A program that copies what was found into a map."""
    asm = Asm(byteorder)
    asm.mov(R6, R1)
    asm.store(R10, KEY + 6, 0, 2)
    asm.field(R7, R6, Skb.data_end)
    asm.field(R8, R6, Skb.data)
    emit_radiotap(asm)
    emit_dot11(asm)
    asm.map_value(R7, "found")
    for number, place in enumerate(PLACES):
        asm.load(R0, R10, place, 8)
        asm.store(R7, 8 * number, R0, 8)
    asm.store(R7, 8 * len(PLACES), R9, 8)
    asm.ret(READ)
    for label, verdict in (("unreadable", UNREADABLE), ("no header", NO_HEADER)):
        asm.label(label)
        asm.ret(verdict)
    found = MapSpec("found", MapType.ARRAY, 4, 8 * (len(PLACES) + 1), 1)
    return Emulator(ProgramSpec("reader", ProgramType.SCHED_CLS, asm, maps={"found": found}))


@pytest.fixture(scope="module", params=["little", "big"])
def emulator(request: pytest.FixtureRequest) -> Emulator:
    return reader(request.param)


def found(emulator: Emulator) -> dict[int, bytes]:
    memory = bytes(emulator.maps["found"])
    return {place: memory[8 * number :][:8] for number, place in enumerate((*PLACES, 0))}


def heard_in(data: bytes) -> Heard | Unreadable:
    try:
        return hear(data, len(data), 127)
    except Unreadable as reason:
        return reason


def test_what_is_found_in_a_frame_does_not_depend_on_the_byte_order(emulator: Emulator) -> None:
    verdicts = set()
    for data in [*ODD, *(frame.data for frame in wifi_mix(400))]:
        verdict = emulator.run(data).retval
        verdicts.add(verdict)
        heard = heard_in(data)
        if isinstance(heard, Unreadable):
            assert verdict in ((NO_HEADER,) if isinstance(heard, Garbled) else (UNREADABLE, NO_HEADER))
            continue
        assert verdict == READ
        raw = found(emulator)

        def number(place: int, raw: dict[int, bytes] = raw) -> int:
            return int.from_bytes(raw[place], emulator.byteorder)

        def told(place: int) -> int | None:
            return number(place) if number(PRESENT) >> PRESENCE[place] & 1 else None

        cpu = int.from_bytes(raw[KEY][6:], emulator.byteorder)
        expected: dict[str, Any] = {
            "transmitter": None if cpu == NAMELESS else raw[KEY][:6],
            "kind": number(KIND),
            "retry": bool(number(0) & HeaderFlag.RETRY),
            "size": number(SIZE),
            "damaged": bool(number(DAMAGED)),
            "bssid": raw[BSSID][:6] if any(raw[BSSID]) else None,
            "rate": raw[RATE][:4],
            "frequency": told(FREQUENCY),
            "signal": None if told(SIGNAL) is None else number(SIGNAL) - BIAS_DB,
            "noise": None if told(NOISE) is None else number(NOISE) - BIAS_DB,
            "ampdu": told(AMPDU),
        }
        assert heard._asdict() == expected, data.hex()
    assert verdicts == {READ, UNREADABLE, NO_HEADER}
