"""Draw count.svg: what `meshlens count mesh.filters -i mesh0` shows while the traffic of `make demo` passes.

.venv/bin/python docs/img/count.py   (as root; the figures are those of the run)
"""

import sys
import time
from pathlib import Path

from rich.console import Console

import meshlens
from meshlens.outputs.table import build_table
from meshlens.packet.mesh import overhead_mix, payload_mix
from meshlens.packet.replay import replay

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "examples" / "mesh-demo"))

from run import LIST, Random, enter_new_namespace, mesh_link
from truth import is_outgoing

PPS, SECONDS, ROWS, WIDTH = 3000, 4, 18, 60


def main() -> None:
    frames = [*overhead_mix(3 * PPS), *payload_mix(PPS)]
    Random(1).shuffle(frames)
    incoming = [frame.data for frame in frames if not is_outgoing(frame)]
    outgoing = [frame.data for frame in frames if is_outgoing(frame)]

    enter_new_namespace()
    with mesh_link() as neighbours, meshlens.count(LIST, "mesh0") as session:
        neighbours.submit(replay, "far", incoming, rate_pps=PPS)
        time.sleep(SECONDS / 2)
        replay("mesh0", outgoing, len(outgoing) // 4)
        before = session.snapshot()
        replay("mesh0", outgoing, 300, rate_pps=300)
        table = build_table(session.snapshot(), before, rows=ROWS, width=WIDTH)

    console = Console(record=True, width=WIDTH, file=open("/dev/null", "w"), force_terminal=True)
    console.print(table)
    console.save_svg(str(HERE / "count.svg"), title="meshlens count mesh.filters -i mesh0")


main()
