#!/usr/bin/env python3
"""Write packaging/grafana-dashboard.json: panels over the metrics that `meshlens serve` gives Prometheus.

The dashboard is described here as a table, because Grafana's own form says everything twenty times. With
`--check`, exit with 1 if the file is not what this makes.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

TARGET: Final = Path(__file__).resolve().parent.parent / "packaging" / "grafana-dashboard.json"
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
WIDTH: Final = 24
#: What every query is limited to; of a program or a process there is no interface.
HERE: Final = 'instance=~"$instance"'
ON: Final = f'{HERE},interface=~"$interface"'
ON_NOT_UNICAST: Final = ON + ',cast!="unicast"'
#: Behind a query of stations: the same with their names.
NAMES: Final = (
    f"* on (instance, interface, mac, kind) group_left (name, vendor) meshlens_station_info{{{ON}}}"
)
HEATMAP: Final = {"calculate": False, "yAxis": {"unit": "bytes"}}


@dataclass(frozen=True, slots=True)
class Panel:
    """A title, a unit of Grafana's, and queries by their legends; those named "out" are drawn downwards."""

    title: str
    unit: str
    queries: dict[str, str]
    kind: str = "timeseries"
    width: int = 12
    height: int = 8
    stacked: bool = False
    options: dict[str, Any] = field(default_factory=dict)


def now(metric: str, by: str = "", where: str = ON) -> str:
    """A gauge of ours, summed up."""
    return f"sum{by and f' by ({by})'} (meshlens_{metric}{{{where}}})"


def rate(metric: str, where: str = ON) -> str:
    """Growth by second of a counter of ours."""
    return f"rate(meshlens_{metric}_total{{{where}}}[$__rate_interval])"


def summed(metric: str, by: str = "", where: str = ON) -> str:
    """The same, summed up."""
    return f"sum{by and f' by ({by})'} ({rate(metric, where)})"


def two_ways(unit: str, factor: str) -> dict[str, str]:
    """What interfaces received upwards, what they transmitted downwards."""
    by = "instance, interface"
    return {
        "{{interface}} in": summed(f"interface_receive_{unit}", by) + factor,
        "{{interface}} out": summed(f"interface_transmit_{unit}", by) + factor,
    }


def stations(query: str) -> dict[str, str]:
    """The ten stations with the most, by name and vendor."""
    return {"{{name}} {{mac}} {{vendor}}": f"topk(10, {query} {NAMES})"}


def filters(unit: str, factor: str) -> dict[str, str]:
    """The fifteen filters with the most; an id of the form `type="arp"` is a label of its own."""
    return {"__auto": f"topk(15, sum without (direction, job) ({rate(f'filter_{unit}')}){factor})"}


def stat(title: str, unit: str, query: str) -> Panel:
    """One number, with its course behind it."""
    options = {"colorMode": "value", "graphMode": "area", "reduceOptions": {"calcs": ["lastNotNull"]}}
    return Panel(title, unit, {"": query}, "stat", 4, 4, options=options)


def stack(title: str, unit: str, queries: dict[str, str]) -> Panel:
    """Parts of a whole."""
    return Panel(title, unit, queries, stacked=True)


SIZES: Final = f"increase(meshlens_interface_frame_size_bytes_bucket{{{ON}}}[$__rate_interval])"
STATION: Final = "instance, interface, mac, kind"
ROWS: Final[dict[str, tuple[Panel, ...]]] = {
    "Now": (
        stat("Received", "bps", summed("interface_receive_bytes") + " * 8"),
        stat("Transmitted", "bps", summed("interface_transmit_bytes") + " * 8"),
        stat("Stations", "short", now("stations")),
        stat("Flows", "short", now("flows")),
        stat("Missed", "pps", summed("missed_packets", where=HERE)),
        stat("Age of the reading", "s", f"max(time() - meshlens_reading_timestamp_seconds{{{HERE}}})"),
    ),
    "Interfaces": (
        Panel("Bits by interface", "bps", two_ways("bytes", " * 8")),
        Panel("Packets by interface", "pps", two_ways("packets", "")),
        stack(
            "Bits by ethertype",
            "bps",
            {"{{ethertype}}": summed("interface_ethertype_bytes", "ethertype") + " * 8"},
        ),
        stack("Packets by destination", "pps", {"{{cast}}": summed("interface_cast_packets", "cast")}),
        Panel("Frame sizes", "bytes", {"{{le}}": f"sum by (le) ({SIZES})"}, "heatmap", options=HEATMAP),
        Panel(
            "Dropped by the kernel",
            "pps",
            {"{{interface}} {{reason}}": summed("interface_drops", "interface, reason") + " > 0"},
        ),
    ),
    "Filters": (
        Panel("Bits by filter", "bps", filters("bytes", " * 8")),
        Panel("Packets by filter", "pps", filters("packets", "")),
    ),
    "Stations": (
        Panel("Bits from stations", "bps", stations(rate("station_receive_bytes") + " * 8")),
        Panel("Bits to stations", "bps", stations(rate("station_transmit_bytes") + " * 8")),
        Panel(
            "Broadcast and multicast from stations",
            "pps",
            stations(summed("station_cast_packets", STATION, ON_NOT_UNICAST)),
        ),
        stack(
            "Stations that are known",
            "short",
            {"{{interface}} {{kind}}": now("stations", "interface, kind")},
        ),
    ),
    "Flows": (
        stack("Flows going on", "short", {"{{protocol}}": now("flows", "protocol")}),
        stack(
            "Bits of flows that ended",
            "bps",
            {"{{protocol}}": summed("flows_ended_bytes", "protocol") + " * 8"},
        ),
    ),
    "What is missed, and what it costs": (
        Panel(
            "Missed packets",
            "pps",
            {"{{probe}} {{reason}}": summed("missed_packets", "probe, reason", HERE) + " > 0"},
        ),
        Panel(
            "Time a frame",
            "s",
            {
                "{{probe}}": f"{summed('program_run_seconds', 'probe')} / {summed('program_runs', 'probe')}",
            },
        ),
        stack(
            "Cores in use",
            "percentunit",
            {
                "{{probe}} in the kernel": summed("program_run_seconds", "probe"),
                "daemon": f"rate(process_cpu_seconds_total{{{HERE}}}[$__rate_interval])",
            },
        ),
        stack(
            "Memory",
            "bytes",
            {
                "{{probe}} in the kernel": now("program_memory_bytes", "probe"),
                "daemon": f"process_resident_memory_bytes{{{HERE}}}",
            },
        ),
    ),
}


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    return {
        "title": "meshlens",
        "uid": "meshlens",
        "description": "What passes through interfaces, by station, flow and filter, counted in the kernel.",
        "tags": ["meshlens", "network"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"},
                variable("instance", "label_values(meshlens_build_info, instance)"),
                variable("interface", f"label_values(meshlens_interface_up{{{HERE}}}, interface)"),
            ]
        },
        "panels": list(panels()),
    }


def variable(name: str, query: str) -> dict[str, Any]:
    """A choice of label values above the panels: none, some or all."""
    return {
        "name": name, "type": "query", "label": name.capitalize(), "datasource": DATASOURCE,
        "query": {"query": query, "refId": name}, "refresh": 2, "sort": 1, "multi": True, "includeAll": True,
        "allValue": ".*", "current": {"text": "All", "value": "$__all"},
    }  # fmt: skip


def panels() -> Iterator[dict[str, Any]]:
    """All panels from left to right and downwards, a heading above each row."""
    number, y = 1, 0
    for title, row in ROWS.items():
        yield {
            "id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
            "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
        }  # fmt: skip
        number, y, x = number + 1, y + 1, 0
        for panel in row:
            if x + panel.width > WIDTH:
                x, y = 0, y + panel.height
            place = {"x": x, "y": y, "w": panel.width, "h": panel.height}
            yield {"id": number, "gridPos": place, **drawn(panel)}
            number, x = number + 1, x + panel.width
        y += row[-1].height


def drawn(panel: Panel) -> dict[str, Any]:
    """A panel without its place."""
    custom = {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}
    if panel.stacked:
        custom |= {"stacking": {"mode": "normal"}, "fillOpacity": 30}
    down = {
        "matcher": {"id": "byRegexp", "options": "/ out$/"},
        "properties": [{"id": "custom.transform", "value": "negative-Y"}],
    }
    lines = {
        "legend": {"displayMode": "table", "placement": "right", "calcs": ["mean", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    is_line = panel.kind == "timeseries"
    return {
        "title": panel.title,
        "type": panel.kind,
        "datasource": DATASOURCE,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "custom": custom} if is_line else {"unit": panel.unit},
            "overrides": [down] if any(legend.endswith(" out") for legend in panel.queries) else [],
        },
        "options": lines if is_line else panel.options,
        "targets": [
            {
                "refId": chr(ord("A") + at), "datasource": DATASOURCE, "expr": query, "legendFormat": legend,
                **({"format": "heatmap"} if panel.kind == "heatmap" else {}),
            }
            for at, (legend, query) in enumerate(panel.queries.items())
        ],
    }  # fmt: skip


def main() -> int:
    """Write the file, or compare it."""
    text = json.dumps(dashboard(), indent=1) + "\n"
    if "--check" in sys.argv[1:]:
        same = TARGET.exists() and TARGET.read_text() == text
        print(f"{TARGET.name}: {'as described' if same else 'run tools/grafana_dashboard.py'}")
        return 0 if same else 1
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
