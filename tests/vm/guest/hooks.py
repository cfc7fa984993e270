"""Interfaces, and programs that `load` leaves on them, in this kernel."""

import contextlib
import io
import json
from pathlib import Path

import meshlens
from meshlens.cli.main import run
from meshlens.ebpf import attached
from meshlens.packet.replay import replay
from tests.kernel.count.traffic import FRAMES, MTU, RATE_PPS
from tests.vm.guest.links import alone, answer, shell, veth

COUNTER = str(Path(__file__).parents[2] / "objects" / "counter.o")
COMMANDS = {
    "object": ("load", COUNTER, "--section", "tcx/ingress", "-i", "far0"),
    "pass": ("load", "pass", "-i", "far0"),
    "in the way": ("load", "drop", "-i", "far0"),
    "status": ("status", "-i", "far0", "--json"),
    "unload": ("unload", "-i", "far0", "--all-ours"),
}


def command(*words: str) -> tuple[int, str]:
    """A command line of ours: its exit code, what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(words)
    return code, out.getvalue() + err.getvalue()


def main() -> None:
    alone()
    veth("near0", "far0", mtu=MTU)
    shell("mount -t bpf bpf /sys/fs/bpf")  # in this script's own mount namespace
    with meshlens.interfaces("far0") as session:
        replay("near0", [frame.data for frame in FRAMES], rate_pps=RATE_PPS / 5)
        ((index, hooks),) = [
            (each.index, sorted({place.hook for place in attached(each.index)}))
            for each in session.interfaces()
        ]
    (seen,) = session.interfaces()
    left = len(attached(index))
    said = {name: command(*words) for name, words in COMMANDS.items()}
    answer({
        "in": {"packets": seen.traffic[0].packets, "bytes": seen.traffic[0].bytes,
               "ethertypes": list(seen.traffic[0].ethertypes.items())},
        "kernel": json.loads(shell("ip -s -j link show far0"))[0]["stats64"]["rx"],
        "missed": session.missed, "hooks": hooks, "left": left, "said": said,
        "at the end": [place.hook for place in attached(index)],
    })  # fmt: skip


if __name__ == "__main__":
    main()
