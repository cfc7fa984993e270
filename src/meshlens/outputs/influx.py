r"""InfluxDB's line protocol: one line a thing, `measurement,tag=…,tag=… field=…i,field=…i TIME`.

Source: docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol. What it has no escape for is replaced:
a newline in a tag becomes the characters `\n`, and backslashes at a tag's end, which would escape the comma
or space behind it, are left out. Times are nanoseconds.
"""

import re
from collections.abc import Iterator

from meshlens.readings.reading import Reading

__all__ = ["format_influx", "influx_lines"]

_SPECIAL = re.compile(r"([,= ])")

Tags = tuple[tuple[str, str], ...]


def format_influx(reading: Reading) -> str:
    """All counters of a reading, a line each. Filters that have matched nothing yet are left out."""
    return "".join(f"{line}\n" for line in influx_lines(reading))


def influx_lines(reading: Reading) -> Iterator[str]:
    """The lines of `format_influx`, without their ends."""
    time_ns = reading.time_ns
    for interface in reading.interfaces:
        for each in interface.traffic:
            yield _line(
                "meshlens_interface",
                (("interface", interface.name), ("direction", each.direction)),
                {
                    "packets": each.packets, "bytes": each.bytes, "unicast": each.unicast,
                    "multicast": each.multicast, "broadcast": each.broadcast,
                },
                time_ns,
            )  # fmt: skip
        if interface.drops:
            yield _line("meshlens_drops", (("interface", interface.name),), interface.drops, time_ns)
    for station in reading.stations:
        yield _line(
            "meshlens_station",
            (("interface", station.interface), ("mac", station.mac), ("kind", station.kind)),
            {
                "in_packets": station.in_packets, "in_bytes": station.in_bytes,
                "out_packets": station.out_packets, "out_bytes": station.out_bytes,
            },
            time_ns,
        )  # fmt: skip
    for count in reading.counts:
        if count.packets:
            where = (("interface", count.interface), ("direction", count.direction or ""))
            fields = {"packets": count.packets, "bytes": count.bytes}
            yield _line("meshlens_filter", (("filter", count.filter), *where), fields, time_ns)
    for probe, reasons in reading.missed.items():
        if reasons:
            yield _line("meshlens_missed", (("probe", probe),), reasons, time_ns)


def _line(measurement: str, tags: Tags, fields: dict[str, int], time_ns: int) -> str:
    head = ",".join((measurement, *(f"{name}={_tag(text)}" for name, text in tags if _tag(text))))
    return f"{head} {','.join(f'{_tag(name)}={value}i' for name, value in fields.items())} {time_ns}"


def _tag(text: str) -> str:
    r"""A tag's text, or a key: backslash before comma, equals sign and space."""
    return _SPECIAL.sub(r"\\\1", text.replace("\n", r"\n")).rstrip("\\")
