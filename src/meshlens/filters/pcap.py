"""libpcap behind a small face: expression in, classic BPF out, and libpcap's own verdict on a frame.

cypcap (which bundles libpcap) is imported at the first call, so that a command which compiles
nothing does not pay for it.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from meshlens.filters.errors import FilterError

if TYPE_CHECKING:
    import cypcap

__all__ = [
    "DLT_EN10MB",
    "DLT_IEEE802_11",
    "DLT_IEEE802_11_RADIO",
    "SNAPLEN",
    "CbpfInsn",
    "FilterError",
    "compile_cbpf",
    "matches",
]

DLT_EN10MB = 1
DLT_IEEE802_11 = 105
DLT_IEEE802_11_RADIO = 127

#: tcpdump's default: longer than any frame, and what a matching program returns.
SNAPLEN = 262144

_RET_K = 0x06


class CbpfInsn(NamedTuple):
    """One classic BPF instruction (linux/filter.h, struct sock_filter)."""

    code: int
    jt: int
    jf: int
    k: int


#: What an expression that can never match compiles to.
REJECT = (CbpfInsn(_RET_K, 0, 0, 0),)


def compile_cbpf(
    expression: str, link_type: int = DLT_EN10MB, snaplen: int = SNAPLEN, optimize: bool = True
) -> tuple[CbpfInsn, ...]:
    """The classic BPF program libpcap makes of `expression`; it returns 0 for "no match".

    An expression that contradicts itself (`arp and ip`) compiles to a program that rejects all frames,
    where libpcap would call it an error: a list may hold such a filter, and it counts nothing.

    Raises FilterError with libpcap's own words.
    """
    import cypcap

    try:
        program = _dead_handle(link_type, snaplen).compile(expression, optimize, cypcap.NETMASK_UNKNOWN)
    except cypcap.Error as error:
        reason = str(error.args[-1])
        if reason == "expression rejects all packets":
            return REJECT
        raise FilterError(f"libpcap: {reason}, in `{_shortened(expression)}`") from None
    return tuple(map(CbpfInsn._make, program))


def matches(program: Sequence[CbpfInsn], frame: bytes, wire_length: int | None = None) -> bool:
    """libpcap's verdict on one frame (`pcap_offline_filter`); `wire_length` is the frame's length in
    bytes before it was cut (default: `frame` is whole)."""
    import cypcap

    header = cypcap.Pkthdr(caplen=len(frame), len=len(frame) if wire_length is None else wire_length)
    return bool(_loaded(tuple(program)).offline_filter(header, frame))


@lru_cache(maxsize=16)
def _dead_handle(link_type: int, snaplen: int) -> "cypcap.Pcap":
    import cypcap

    return cypcap.open_dead(link_type, snaplen)


@lru_cache(maxsize=4096)
def _loaded(program: tuple[CbpfInsn, ...]) -> "cypcap.BpfProgram":
    import cypcap

    return cypcap.BpfProgram(list(map(tuple, program)))


def _shortened(expression: str, limit: int = 160) -> str:
    return expression if len(expression) <= limit else expression[: limit - 1] + "…"
