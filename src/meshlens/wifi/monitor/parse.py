"""The part of the monitor program that reads a frame; `frame` is its definition, in Python.

It goes along radiotap's presence bits by the table that the decoder has, and reads those fields that count.
Headers are read in the linear part of the skb; where they may go on beyond it, that is made longer first.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from typing import Final

from meshlens.ebpf import R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, Asm, Helper
from meshlens.ebpf.contexts import Skb
from meshlens.packet.ieee80211 import (
    BSSID_AT,
    BYTES_OF_TYPE,
    FCS_BYTES,
    TRANSMITTER_AT,
    FrameType,
    HeaderFlag,
)
from meshlens.packet.radiotap import EXTENDED, FIELDS, FIXED_BYTES, MAX_WORDS, RadiotapField
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
    READ,
    SIGNAL,
    SIZE,
)
from meshlens.wifi.monitor.frame import MAX_RADIOTAP_BYTES
from meshlens.wifi.monitor.layout import NAMELESS

__all__ = ["emit_bare", "emit_dot11", "emit_linear", "emit_radiotap"]

#: No field of the first presence word ends behind this; a power of two.
_FIELDS_END: Final = 256
#: As many bytes as are looked at.
_HEAD_BYTES: Final = MAX_RADIOTAP_BYTES + max(BYTES_OF_TYPE.values())


def emit_linear(asm: Asm) -> None:
    """R8 = where the frame's bytes begin, R7 = where they end; at least the headers are between them."""
    enough, few = asm.new_label(), asm.new_label()
    _packet(asm)
    asm.mov(R1, R7)
    asm.alu("-=", R1, R8)
    asm.field(R2, R6, Skb.len)
    asm.jump_if(R1, ">=", R2, enough)
    asm.jump_if(R1, ">=", _HEAD_BYTES, enough)
    asm.jump_if(R2, "<=", _HEAD_BYTES, few)
    asm.mov(R2, _HEAD_BYTES)
    asm.label(few)
    asm.call(Helper.skb_pull_data, R6, R2)
    _packet(asm)
    asm.label(enough)


def _packet(asm: Asm) -> None:
    asm.field(R7, R6, Skb.data_end)
    asm.field(R8, R6, Skb.data)


def emit_bare(asm: Asm) -> None:
    """There is no radiotap: nobody tells how the frame was received. Goes to `unreadable`."""
    _emit_nothing_told(asm)
    asm.mov(R4, 0)
    _emit_size(asm)


def emit_radiotap(asm: Asm) -> None:
    """What radiotap tells, onto the stack; R4 = its length. Goes to `unreadable`.

    R9 are the presence bits, R5 is how far the fields have been read, R8 + R5 where they go on.
    """
    words, fields = asm.new_label(), asm.new_label()
    _emit_nothing_told(asm)
    _need(asm, FIXED_BYTES, "unreadable")
    asm.load(R0, R8, 0, 1)
    asm.jump_if(R0, "!=", 0, "unreadable")
    asm.load(R4, R8, 2, 2)
    asm.to_le(R4, 16)
    asm.jump_if(R4, ">", MAX_RADIOTAP_BYTES, "unreadable")
    _emit_size(asm)
    asm.load(R9, R8, 4, 4)
    asm.to_le(R9, 32)
    asm.store(R10, PRESENT, R9, 8)
    asm.mov(R5, FIXED_BYTES)
    asm.jump32_if(R9, "&", EXTENDED, words)
    asm.label(fields)
    _emit_forget(asm)
    for read, run in groupby(FIELDS, lambda each: each.name in READ):
        several = list(run)
        if read:
            for each in several:
                _emit_field(asm, each)
        else:
            with _if_present(asm, several):
                for each in several:
                    _emit_field(asm, each)
        _emit_forget(asm)
    asm.mov(R0, R4)  # R4 itself must not tell the verifier which fields there were
    asm.alu("-=", R0, R5)
    asm.jump_if(R0, "s<", 0, "unreadable")
    asm.jump("radiotap read")
    asm.block("more presence words")
    asm.label(words)
    for _ in range(MAX_WORDS - 1):
        _emit_checked(asm, 4)
        asm.load(R0, R1, 0, 4)
        asm.to_le(R0, 32)
        asm.alu("+=", R5, 4)
        asm.alu(">>=", R0, 31)
        asm.jump_if(R0, "==", 0, fields)
    asm.jump("unreadable")
    asm.label("radiotap read")


def _emit_nothing_told(asm: Asm) -> None:
    for place in (SIGNAL, NOISE, AMPDU, FREQUENCY, RATE, DAMAGED, PRESENT):
        asm.store(R10, place, 0, 8)


def _emit_size(asm: Asm) -> None:
    """The frame's bytes without radiotap's (R4), and with an FCS, onto the stack."""
    asm.field(R0, R6, Skb.len)
    asm.alu("-=", R0, R4)
    asm.alu("+=", R0, FCS_BYTES)
    asm.store(R10, SIZE, R0, 8)


def _need(asm: Asm, size: int, otherwise: str) -> None:
    """Go `otherwise` unless there are `size` bytes at R8."""
    asm.mov(R1, R8)
    asm.alu("+=", R1, size)
    asm.jump_if(R1, ">", R7, otherwise)


def _emit_forget(asm: Asm) -> None:
    """Leave R5 as it is, but let the verifier know no more of it than its size.

    Otherwise it would go on for each way of getting here on its own, and there are millions.
    """
    asm.alu("+=", R5, R4)
    asm.alu("-=", R5, R4)
    asm.alu("&=", R5, _FIELDS_END - 1)


def _emit_field(asm: Asm, field: RadiotapField) -> None:
    """Pass over a field if it is there, and take from it what counts."""
    with _if_present(asm, [field]):
        if field.alignment > 1:
            asm.alu("+=", R5, field.alignment - 1)
            asm.alu("&=", R5, -field.alignment)
        if field.name in READ:
            _emit_checked(asm, field.size)
            READ[field.name](asm)
        asm.alu("+=", R5, field.size)


def _if_present(asm: Asm, fields: Sequence[RadiotapField]) -> AbstractContextManager[None]:
    """What the `with` contains runs if one of the fields is there.

    Not by a test of R9's own bits: the verifier would learn them, and follow every combination on its own.
    """
    asm.mov(R0, R9)
    asm.alu("&=", R0, sum(1 << each.bit for each in fields))
    return asm.if_(R0, "!=", 0)


def _emit_checked(asm: Asm, size: int) -> None:
    """R1 = R8 + R5, where there are `size` bytes."""
    asm.mov(R1, R8)
    asm.alu("+=", R1, R5)
    asm.mov(R2, R1)
    asm.alu("+=", R2, size)
    asm.jump_if(R2, ">", R7, "unreadable")


def emit_dot11(asm: Asm) -> None:
    """Read the 802.11 header, R4 bytes behind R8; go to `header read`.

    The transmitter goes to KEY, where the CPU is already, BSSID and KIND to their places; R9 = the second
    byte.
    """
    control, extension, without = (asm.new_label() for _ in range(3))
    asm.alu("+=", R8, R4)
    asm.jump_if(R8, ">", R7, "unreadable")
    _need(asm, BYTES_OF_TYPE[FrameType.CONTROL], "no header")
    asm.load(R3, R8, 0, 1)
    asm.load(R9, R8, 1, 1)
    asm.jump_if(R3, "&", 3, "no header")  # the version
    asm.alu(">>=", R3, 2)
    asm.store(R10, KIND, R3, 8)
    asm.store(R10, BSSID, 0, 8)
    asm.mov(R2, R3)
    asm.alu("&=", R2, 3)
    asm.jump_if(R2, "==", FrameType.CONTROL, control)
    asm.jump_if(R2, "==", FrameType.EXTENSION, extension)
    _need(asm, BYTES_OF_TYPE[FrameType.DATA], "no header")
    _emit_address(asm, 10, KEY)
    with asm.if_(R2, "==", FrameType.DATA):
        asm.mov(R2, R9)
        asm.alu("&=", R2, HeaderFlag.TO_DS | HeaderFlag.FROM_DS)
    for ways, at in BSSID_AT.items():  # management frames have neither bit
        with asm.if_(R2, "==", ways):
            _emit_address(asm, at, BSSID)
            asm.jump("header read")
    asm.jump("header read")
    asm.label(control)
    _emit_unless_in(asm, TRANSMITTER_AT, 10, without)
    _need(asm, 16, "no header")
    _emit_address(asm, 10, KEY, individual=True)
    asm.jump("header read")
    asm.label(extension)
    asm.mov(R9, 0)  # their second byte has other flags
    _emit_unless_in(asm, TRANSMITTER_AT, 4, without)
    _emit_address(asm, 4, KEY)
    asm.jump("header read")
    asm.label(without)
    asm.load(R1, R10, KEY + 6, 2)
    asm.alu("|=", R1, NAMELESS)
    asm.store(R10, KEY, 0, 4)
    asm.store(R10, KEY + 4, 0, 2)
    asm.store(R10, KEY + 6, R1, 2)
    asm.label("header read")


def _emit_unless_in(asm: Asm, places: Mapping[int, int], place: int, otherwise: str) -> None:
    """Go `otherwise` unless frames of kind R3 have something at `place`."""
    asm.ld_imm64(R1, sum(1 << kind for kind, at in places.items() if at == place))
    asm.alu(">>=", R1, R3)
    asm.alu("&=", R1, 1)
    asm.jump_if(R1, "==", 0, otherwise)


def _emit_address(asm: Asm, at: int, place: int, *, individual: bool = False) -> None:
    """Copy an address of the header to the stack; `individual`: without the group bit."""
    asm.load(R0, R8, at, 4)
    asm.load(R1, R8, at + 4, 2)
    if individual:
        asm.to_le(R0, 32)
        asm.alu("&=", R0, ~1)
        asm.to_le(R0, 32)
    asm.store(R10, place, R0, 4)
    asm.store(R10, place + 4, R1, 2)
