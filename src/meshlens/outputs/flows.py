"""Flows as text: a line each, for people or for programs."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from meshlens.outputs.text import endpoint
from meshlens.probes.flows.record import Flow

__all__ = ["FLOW_HEADING", "flow_json", "flow_line", "summary_json", "summary_line"]

_LINE = "{:<12} {:>9} {:<3} {:<6} {:<42} {:<42} {:>9} {:>11} {:>9} {:>11} {:<8} {:<6} {}"

#: The heading of the lines.
FLOW_HEADING = _LINE.format(
    "begin (UTC)", "seconds", "way", "proto", "source", "destination", "packets", "bytes", "p. back",
    "b. back", "flags", "ended", "inside",
).rstrip()  # fmt: skip


def flow_line(flow: Flow) -> str:
    """A flow in one line, without the first packets; "packets" and "bytes" are what the source sent."""
    begin = datetime.fromtimestamp(flow.first_ns / 1e9, UTC).strftime("%H:%M:%S.%f")[:-3]
    return _LINE.format(
        begin, f"{flow.duration_ns / 1e9:.3f}", flow.direction or "-", flow.protocol,
        endpoint(flow.src, flow.src_port), endpoint(flow.dst, flow.dst_port), flow.src_packets,
        flow.src_bytes, flow.dst_packets, flow.dst_bytes, flow.flags or "-", flow.ended or "-", flow.inside,
    ).rstrip()  # fmt: skip


def flow_json(flow: Flow) -> str:
    """A flow as a JSON object in one line: the fields of Flow."""
    return json.dumps(asdict(flow))


def summary_line(flows: int, missed: Mapping[str, int], other: int) -> str:
    """What is said behind the last flow, in words."""
    reasons = ", ".join(f"{reason} {packets}" for reason, packets in missed.items() if packets)
    detail = f" ({reasons})" if reasons else ""
    return f"{flows} flows; {other} frames without IP; missed: {sum(missed.values())} packets{detail}"


def summary_json(flows: int, missed: Mapping[str, int], other: int) -> str:
    """What is said behind the last flow: `{"flows", "other", "missed", "reasons"}`."""
    return json.dumps(
        {"flows": flows, "other": other, "missed": sum(missed.values()), "reasons": dict(missed)}
    )
