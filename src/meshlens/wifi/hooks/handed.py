"""The probe on the hand-over of a frame by the network stack, from which its latency is counted."""

from typing import Final

from meshlens.ebpf import ANY, R0, R1, Helper, ProgramSpec
from meshlens.ebpf.tracing import Function, Hook, KernelTypes, Trace
from meshlens.wifi.hooks.layout import HANDED_OVER, hook_maps

__all__ = ["FUNCTIONS", "handed_over_program"]

#: ndo_start_xmit of interfaces whose radio takes 802.11 frames, and of those whose takes 802.3.
FUNCTIONS: Final = ("ieee80211_subif_start_xmit", "ieee80211_subif_start_xmit_8023")


def handed_over_program(
    hook: Hook, function: Function, _types: KernelTypes, max_stations: int
) -> ProgramSpec:
    """The probe on one of FUNCTIONS.

    A frame is known again by its skb, which mac80211 keeps: it may grow the bytes, but not replace the skb of
    a frame, except to cut up (GSO) or to put together (A-MSDU) several. The oldest of those that never come
    back make room for others.
    """
    a = Trace(hook, function)
    frame, now = a.slot(8), a.slot(8)
    a.read(R1, a.argument("skb"))
    a.put(frame, R1)
    a.call(Helper.ktime_get_ns)
    a.put(now, R0)
    a.call(Helper.map_update_elem, HANDED_OVER, frame, now, ANY)
    a.ret(0)
    return a.program("wifi_handed_over", maps={HANDED_OVER: hook_maps(max_stations)[HANDED_OVER]})
