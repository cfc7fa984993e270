"""The table of interfaces fits 80 columns and says what the records say; JSON leaves nothing out."""

import json
from dataclasses import replace

from meshlens.outputs.interfaces import interfaces_json, interfaces_table
from meshlens.probes.traffic.layout import SIZES, nothing
from meshlens.probes.traffic.record import InterfaceTraffic, Traffic

IN = Traffic("in", 1000, 100_000, 900, 60, 40, {0x0800: (100, 10_000), 0x4305: (900, 90_000)}, (0,) * SIZES)
OUT = nothing("out")
MESH = InterfaceTraffic("mesh0", 3, "02:00:00:00:00:01", True, None, (IN, OUT))
LATER = replace(
    MESH,
    traffic=(
        replace(
            IN,
            packets=3000,
            bytes=350_000,
            unicast=2900,
            ethertypes={0x4305: (2900, 340_000), 0x0800: (100, 10_000)},
        ),
        OUT,
    ),
)


def test_sums_are_exact() -> None:
    assert interfaces_table([MESH]) == (
        """\
interface way packets   bytes  unicast  multi  broad  of bytes
mesh0     in     1000  100000      900     60     40  batadv 90% ipv4 10%
          out       0       0        0      0      0
"""
    )


def test_rates_are_differences_by_time_and_shares_are_of_what_came_since() -> None:
    assert interfaces_table([LATER], [MESH], 2.0).splitlines()[1] == (
        "mesh0     in  1.00k  1.00M    1.00k      0      0  batadv 100%"
    )


def test_an_interface_that_is_back_does_not_bring_its_sums_as_a_rate() -> None:
    assert interfaces_table([MESH], [], 1.0).splitlines()[1].split() == ["mesh0", "in", *"00000"]


def test_drops_verdicts_and_down_stand_below_and_all_fits_the_width() -> None:
    drops = {f"rx_{reason}_errors": 123_456_789 for reason in ("length", "over", "crc", "frame", "missed")}
    busy = replace(
        MESH,
        name="a-long-name-015",
        up=False,
        traffic=(replace(IN, packets=10**15, bytes=10**18),),
        drops=drops,
        verdicts={"packets": 12, "drop": 0, "tx": 3},
    )
    lines = interfaces_table([busy]).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split()[2:4] == ["1.00P", "1.00E"]
    assert lines[2].split() == ["down"]
    assert " ".join(lines[3].split()).startswith(
        "drops: rx_length_errors 123456789, rx_over_errors 123456789"
    )
    assert lines[-1].split() == ["xdp:", "packets", "12,", "tx", "3"]


def test_json_has_every_number_and_names_of_ethertypes() -> None:
    (line,) = interfaces_json([MESH], 7)
    told = json.loads(line)
    assert (told["time_ns"], told["interface"], told["in"]["packets"]) == (7, "mesh0", 1000)
    assert told["in"]["ethertypes"] == {
        "ipv4": {"packets": 100, "bytes": 10_000},
        "batadv": {"packets": 900, "bytes": 90_000},
    }
    assert told["out"]["sizes"] == [0] * SIZES
