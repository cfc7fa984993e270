"""Which of mac80211's functions a frame passes on its way out: calls by function, for frames of known number.

Each function that the kernel has is counted by a probe of our own; the others are named as missing. Radios
hear each other without a medium: beacons are not reported then, and are in none of these numbers.
"""

import contextlib
import time

from meshlens.ebpf import R1, R2, MapSpec, MapType, Program, ProgramSpec
from meshlens.ebpf.tracing import KernelTypes, Trace, attach_trace
from meshlens.errors import MeshlensError
from tests.vm.guest.links import answer
from tests.vm.guest.medium import mac
from tests.vm.guest.radios import GROUP, join, radios, send

#: In the order in which a frame comes by.
FUNCTIONS = (
    "ieee80211_subif_start_xmit", "ieee80211_subif_start_xmit_8023",
    "ieee80211_xmit", "__ieee80211_xmit_fast", "ieee80211_xmit_fast_finish",
    "ieee80211_queue_skb", "ieee80211_tx_dequeue", "ieee80211_tx_frags",
    "ieee80211_tx_status_irqsafe", "ieee80211_tx_status", "ieee80211_tx_status_skb",
    "ieee80211_tx_status_8023", "ieee80211_tx_status_ext", "rate_control_tx_status",
    "minstrel_ht_tx_status", "ieee80211_report_used_skb",
)  # fmt: skip
FRAMES = 50


def main() -> None:
    with radios(2), contextlib.ExitStack() as stack:
        join(2)
        types = KernelTypes("mac80211")
        programs: dict[str, Program | None] = {}
        for name in FUNCTIONS:
            try:
                program = stack.enter_context(counting(types, name).load())
                stack.enter_context(attach_trace(program))
                programs[name] = program
            except MeshlensError:
                programs[name] = None
        time.sleep(0.3)
        calls = {}
        for kind, to in (("unicast", mac(1)), ("group", GROUP)):
            before = {name: count(program) for name, program in programs.items()}
            send(0, to, times=FRAMES)
            time.sleep(0.5)
            calls[kind] = {
                name: None if program is None else count(program) - before[name]
                for name, program in programs.items()
            }
    answer({"frames": FRAMES, "calls": calls})


def counting(types: KernelTypes, name: str) -> ProgramSpec:
    a = Trace("fentry", types.function(name))
    a.map_value(R1, "calls")
    a.mov(R2, 1)
    a.atomic_add(R1, 0, R2, 8)
    a.ret(0)
    return a.program("calls", maps={"calls": MapSpec("calls", MapType.ARRAY, 4, 8, 1)})


def count(program: Program | None) -> int:
    value = program.maps["calls"].lookup(bytes(4)) if program else None
    return int.from_bytes(value or b"", "little")


if __name__ == "__main__":
    main()
