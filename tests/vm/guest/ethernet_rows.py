"""Rows of stations, as the program fills them in this kernel, against the definition."""

from meshlens.classify.ethernet_station.features import PLACE, WINDOW
from meshlens.packet.mesh import overhead_mix, payload_mix
from tests.kernel.classify.ethernet_station.rows import Bench, expected, from_few_stations
from tests.vm.guest.links import answer

_STEP_NS = 40_000_000


def main() -> None:
    mixes = (payload_mix(300), overhead_mix(300), payload_mix(60, vlans=[7, 8], version=14))
    data = from_few_stations((frame.data for mix in mixes for frame in mix), 4)
    bench = Bench(1000)
    taken = bench.run((10**18 + number * _STEP_NS, each) for number, each in enumerate(data))
    rows, told = bench.entries(), expected(taken)
    answer({
        "stations": len(told),
        "rows": len(rows),
        "right": sum(rows.get(mac) == values for mac, values in told.items()),
        "full": sum(values[PLACE["packets"]] == WINDOW for _, values in rows.values()),
        "verified": bench.programs["in"].info().verified_insns,
    })  # fmt: skip


if __name__ == "__main__":
    main()
