"""Adding a frame to the entry of its transmitter; `table.MonitorTable` is the definition."""

from collections.abc import Iterator
from contextlib import contextmanager

from meshlens.ebpf import R0, R1, R2, R3, R4, R7, R9, R10, Asm, Reg
from meshlens.packet.ieee80211 import HeaderFlag
from meshlens.packet.radiotap import FIELD_OF
from meshlens.wifi.monitor.fields import AMPDU, BSSID, FIELD_IN, FREQUENCY, KIND, NOISE, PRESENT, SIGNAL, SIZE
from meshlens.wifi.monitor.layout import KINDS_AT, SIGNAL_STEP_DB, SIGNALS_AT, at

__all__ = ["emit_add", "emit_increase"]


def emit_add(asm: Asm) -> None:
    """Add the frame of time R0 to the entry R7."""
    for name, comparison in (("first_ns", "<"), ("last_ns", ">")):  # a file's times may go back
        asm.load(R1, R7, *at(name))
        with asm.if_(R0, comparison, R1):
            _put(asm, name, R0)
    asm.load(R4, R10, SIZE, 8)
    asm.load(R1, R10, KIND, 8)
    asm.alu("&=", R1, 63)  # it is: only the verifier does not know
    asm.alu("<<=", R1, 4)
    asm.alu("+=", R1, R7)
    emit_increase(asm, R1, KINDS_AT, 1)
    emit_increase(asm, R1, KINDS_AT + 8, R4)
    with asm.if_(R9, "&", HeaderFlag.RETRY):
        emit_increase(asm, R7, at("retries").offset, 1)
    with _told(asm, SIGNAL):
        _signal(asm)
    with _told(asm, NOISE):
        _put(asm, "noise_last", R1)
        emit_increase(asm, R7, at("noise_sum").offset, R1)
        emit_increase(asm, R7, at("noise_frames").offset, 1)
    with _told(asm, AMPDU):
        _ampdu(asm)
    with _told(asm, FREQUENCY):
        _put(asm, "frequency", R1)
    _bssid(asm)


def _bssid(asm: Asm) -> None:
    """Keep the BSSID, if there is one: not that of no BSS (zeros), nor that of any (a group address)."""
    none, place = asm.new_label(), at("bssid").offset
    asm.load(R1, R10, BSSID, 4)
    asm.load(R2, R10, BSSID + 4, 2)
    asm.load(R3, R10, BSSID, 1)
    asm.jump_if(R3, "&", 1, none)
    asm.mov(R3, R1)
    asm.alu("|=", R3, R2)
    asm.jump_if(R3, "==", 0, none)
    asm.store(R7, place, R1, 4)
    asm.store(R7, place + 4, R2, 2)
    asm.label(none)


@contextmanager
def _told(asm: Asm, place: int) -> Iterator[None]:
    """What the `with` contains runs if radiotap has the field of `place`, with its number in R1."""
    asm.load(R0, R10, PRESENT, 8)
    asm.load(R1, R10, place, 8)
    with asm.if_(R0, "&", 1 << FIELD_OF[FIELD_IN[place]].bit):
        yield


def _signal(asm: Asm) -> None:
    """Add the signal R1, dBm + BIAS_DB."""
    _put(asm, "signal_last", R1)
    emit_increase(asm, R7, at("signal_sum").offset, R1)
    for name, comparison in (("signal_min", "<"), ("signal_max", ">")):
        asm.load(R2, R7, *at(name))
        with asm.if_(R1, comparison, R2):
            _put(asm, name, R1)
    asm.alu("&=", R1, 0xFF)
    asm.alu(">>=", R1, SIGNAL_STEP_DB.bit_length() - 1)
    asm.alu("<<=", R1, 3)
    asm.alu("+=", R1, R7)
    emit_increase(asm, R1, SIGNALS_AT, 1)


def _ampdu(asm: Asm) -> None:
    """Add a frame of the A-MPDU R1; another number than before begins another one."""
    same = asm.new_label()
    asm.load(R2, R7, *at("ampdu_frames"))
    asm.load(R3, R7, *at("ampdu_reference"))
    emit_increase(asm, R7, at("ampdu_frames").offset, 1)
    _put(asm, "ampdu_reference", R1)
    with asm.if_(R2, "!=", 0):
        asm.jump_if(R1, "==", R3, same)
    emit_increase(asm, R7, at("ampdus").offset, 1)
    asm.label(same)


def _put(asm: Asm, name: str, value: Reg) -> None:
    offset, size = at(name)
    asm.store(R7, offset, value, size)


def emit_increase(asm: Asm, base: Reg, offset: int, amount: Reg | int) -> None:
    """Add to 8 bytes."""
    asm.load(R0, base, offset, 8)
    asm.alu("+=", R0, amount)
    asm.store(base, offset, R0, 8)
