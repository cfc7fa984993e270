"""libpcap behind a small face: expression in, classic BPF out, and libpcap's own verdict on a frame.

cypcap (which bundles libpcap) is imported at the first call, so that a command which compiles
nothing does not pay for it.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from meshlens.filters.errors import FilterError
from meshlens.filters.expression import parse
from meshlens.filters.names import refuse_unknown_names

__all__ = ["REJECT", "SNAPLEN", "CbpfInsn", "FilterError", "compile_cbpf", "matches"]

#: tcpdump's default: longer than any frame. A matching program returns it.
SNAPLEN: Final = 262144


class CbpfInsn(NamedTuple):
    """One classic BPF instruction (linux/filter.h, struct sock_filter)."""

    code: int
    jt: int
    jf: int
    k: int


#: What an expression that can never match compiles to: `ret #0`.
REJECT: Final = (CbpfInsn(0x06, 0, 0, 0),)


def compile_cbpf(
    expression: str, link_type: int = 1, snaplen: int = SNAPLEN, optimize: bool = True
) -> tuple[CbpfInsn, ...]:
    """The classic BPF program that libpcap makes of an expression; it returns 0 for "no match".

    `link_type` is a DLT number: 1 for Ethernet, 105 for 802.11, 127 for radiotap. An expression that
    contradicts itself (`arp and ip`) compiles to REJECT, where libpcap calls it an error: a list may hold
    such a filter, and it counts nothing. The netmask is unknown, so `ip broadcast` is refused.

    Raises FilterError with libpcap's own words, or for a host name that only DNS could know.
    """
    refuse_unknown_names(expression)
    cypcap = _cypcap()
    try:
        with cypcap.open_dead(link_type, snaplen) as handle:
            program = handle.compile(expression, optimize, cypcap.NETMASK_UNKNOWN)
    except cypcap.Error as error:
        reason = str(error.args[-1])
        if reason == "expression rejects all packets":
            return REJECT
        raise FilterError(f"libpcap: {reason}: {_shortened(expression)}{_hint(expression)}") from None
    return tuple(map(CbpfInsn._make, program))


def matches(program: Sequence[CbpfInsn], frame: bytes, wire_length: int | None = None) -> bool:
    """Run a program on a frame in libpcap (`pcap_offline_filter`).

    `wire_length` is the frame's length in bytes on the wire, for a frame that was cut; `len` asks for it.
    """
    header = _cypcap().Pkthdr(caplen=len(frame), len=len(frame) if wire_length is None else wire_length)
    return bool(_loaded(tuple(program)).offline_filter(header, frame))


def _cypcap() -> Any:
    import cypcap

    return cypcap


@lru_cache(maxsize=4096)
def _loaded(program: tuple[CbpfInsn, ...]) -> Any:
    return _cypcap().BpfProgram([tuple(instruction) for instruction in program])


def _hint(expression: str) -> str:
    """libpcap does not say where a syntax error stands; our parser does."""
    try:
        parse(expression)
    except FilterError as error:
        return f" ({error.reason})"
    return ""


def _shortened(expression: str, limit: int = 120) -> str:
    return f"`{expression}`" if len(expression) <= limit else f"`{expression[:limit]}…`"
