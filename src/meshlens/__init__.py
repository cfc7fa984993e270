"""See and count the traffic of mesh networks inside the Linux kernel, with eBPF programs made at run time.

The names below are what a script needs; each is imported when it is first used, so that `import meshlens`
itself is free. The eBPF kit for programs of your own is `meshlens.ebpf`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshlens.errors import MeshlensError, NotSupported, PermissionDenied, UsageError
    from meshlens.filters.compiler import CompiledList, compile_list
    from meshlens.filters.lists import FilterList, load_list, parse_list
    from meshlens.packet.capture import CapturedFrame, read_capture
    from meshlens.probes.count.offline import count_files
    from meshlens.probes.count.pinned import PinnedCounter, open_pin, pin_names
    from meshlens.probes.count.pins import detach_pin
    from meshlens.probes.count.session import CountSession, count
    from meshlens.probes.flows.record import Flow
    from meshlens.probes.flows.session import flows
    from meshlens.probes.loading.load import load_program, unload_id, unload_pin
    from meshlens.probes.loading.loaded import Loaded, loaded_programs
    from meshlens.probes.loading.programs import find_program
    from meshlens.probes.monitor.session import Monitor, monitor
    from meshlens.probes.reading import ProbeCost, Reading
    from meshlens.probes.snapshot import Count, Snapshot
    from meshlens.probes.stations.record import Station
    from meshlens.probes.stations.session import stations
    from meshlens.probes.traffic.record import InterfaceTraffic, Traffic
    from meshlens.probes.traffic.session import InterfaceSession, interfaces
    from meshlens.wifi.airtime import airtime_ns
    from meshlens.wifi.minstrel.record import MinstrelTable
    from meshlens.wifi.minstrel.session import minstrel_tables
    from meshlens.wifi.monitor.record import Transmitter
    from meshlens.wifi.monitor.session import transmitters
    from meshlens.wifi.rates import Rate

__all__ = [
    "CapturedFrame",
    "CompiledList",
    "Count",
    "CountSession",
    "FilterList",
    "Flow",
    "InterfaceSession",
    "InterfaceTraffic",
    "Loaded",
    "MeshlensError",
    "MinstrelTable",
    "Monitor",
    "NotSupported",
    "PermissionDenied",
    "PinnedCounter",
    "ProbeCost",
    "Rate",
    "Reading",
    "Snapshot",
    "Station",
    "Traffic",
    "Transmitter",
    "UsageError",
    "airtime_ns",
    "compile_list",
    "count",
    "count_files",
    "detach_pin",
    "find_program",
    "flows",
    "interfaces",
    "load_list",
    "load_program",
    "loaded_programs",
    "minstrel_tables",
    "monitor",
    "open_pin",
    "parse_list",
    "pin_names",
    "read_capture",
    "stations",
    "transmitters",
    "unload_id",
    "unload_pin",
]

__version__ = "0.1.0"

_HOMES = {
    "meshlens.errors": ("MeshlensError", "NotSupported", "PermissionDenied", "UsageError"),
    "meshlens.filters.compiler": ("CompiledList", "compile_list"),
    "meshlens.filters.lists": ("FilterList", "load_list", "parse_list"),
    "meshlens.packet.capture": ("CapturedFrame", "read_capture"),
    "meshlens.probes.count.session": ("CountSession", "count"),
    "meshlens.probes.flows.record": ("Flow",),
    "meshlens.probes.flows.session": ("flows",),
    "meshlens.probes.loading.load": ("load_program", "unload_id", "unload_pin"),
    "meshlens.probes.loading.loaded": ("Loaded", "loaded_programs"),
    "meshlens.probes.count.offline": ("count_files",),
    "meshlens.probes.count.pinned": ("PinnedCounter", "open_pin", "pin_names"),
    "meshlens.probes.count.pins": ("detach_pin",),
    "meshlens.probes.loading.programs": ("find_program",),
    "meshlens.probes.monitor.session": ("Monitor", "monitor"),
    "meshlens.probes.reading": ("ProbeCost", "Reading"),
    "meshlens.probes.snapshot": ("Count", "Snapshot"),
    "meshlens.probes.stations.record": ("Station",),
    "meshlens.probes.stations.session": ("stations",),
    "meshlens.probes.traffic.session": ("InterfaceSession", "interfaces"),
    "meshlens.probes.traffic.record": ("InterfaceTraffic", "Traffic"),
    "meshlens.wifi.airtime": ("airtime_ns",),
    "meshlens.wifi.minstrel.record": ("MinstrelTable",),
    "meshlens.wifi.minstrel.session": ("minstrel_tables",),
    "meshlens.wifi.monitor.record": ("Transmitter",),
    "meshlens.wifi.monitor.session": ("transmitters",),
    "meshlens.wifi.rates": ("Rate",),
}


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            value: object = getattr(import_module(module), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'meshlens' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
