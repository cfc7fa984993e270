"""Counts, captures and takes the flows of the same frames, in each way that this kernel has."""

import contextlib

import meshlens
from meshlens.packet.replay import replay
from meshlens.probes.count.plan import AttachMode
from tests.kernel.count.traffic import FRAMES, MTU, RATE_PPS, counts, filters, missed
from tests.vm.guest.links import Capturing, Tcpdump, alone, answer, shell, timeless, veth

MODES: tuple[AttachMode, ...] = ("tc", "xdp", "socket")


def main() -> None:
    alone()
    veth("near0", "far0", mtu=MTU)
    data = [frame.data for frame in FRAMES]
    with contextlib.ExitStack() as stack:
        tcpdump = stack.enter_context(Tcpdump("far0", "in"))
        sessions = {
            mode: stack.enter_context(meshlens.count(filters(), "far0", attach=mode)) for mode in MODES
        }
        flows = stack.enter_context(meshlens.flows("far0"))
        capture = stack.enter_context(Capturing("far0", "batadv 15 bcast and arp"))
        replay("near0", data, rate_pps=RATE_PPS / 5)
        told = {mode: counts(session.snapshot(), "in", "far0") for mode, session in sessions.items()}
        lost = {mode: missed(session.snapshot()) for mode, session in sessions.items()}
        how = {mode: sorted({each.how for each in session.attachments}) for mode, session in sessions.items()}
        seen = timeless(flows.finish())
    with meshlens.count(filters(), "far0", attach="xdp-generic") as generic:
        replay("near0", data, rate_pps=RATE_PPS / 5)
        told["xdp-generic"] = counts(generic.snapshot(), "in", "far0")
    answer({
        "counts": told, "missed": lost, "how": how, "flows": seen, "flows missed": flows.missed,
        "capture": capture.result, "tcpdump": tcpdump.file,
        "left": shell("bpftool net show dev far0; tc filter show dev far0 ingress").count("meshlens"),
    })  # fmt: skip


if __name__ == "__main__":
    main()
