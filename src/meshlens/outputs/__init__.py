"""Outputs: what a snapshot of counts looks like to people and to programs.

A formatter is a pure function from a snapshot to text. Beside their formats stand two small servers,
bpfcountd's unix socket and Prometheus' HTTP listener, and the file for node_exporter.
"""

from collections.abc import Callable

from meshlens.outputs.bpfcountd import format_bpfcountd
from meshlens.outputs.jsonlines import format_jsonlines
from meshlens.outputs.prometheus import format_prometheus
from meshlens.outputs.respondd import format_respondd, format_respondd_compact
from meshlens.outputs.table import format_table
from meshlens.probes.snapshot import Snapshot

__all__ = ["FORMATS"]

FORMATS: dict[str, Callable[[Snapshot], str]] = {
    "table": format_table,
    "json": format_jsonlines,
    "bpfcountd": format_bpfcountd,
    "prometheus": format_prometheus,
    "respondd": format_respondd,
    "respondd-compact": format_respondd_compact,
}
"""What `--format` takes; each returns whole lines."""
