"""See and count the traffic of mesh networks inside the Linux kernel, with eBPF programs made at run time.

The names below are what a script needs; each is imported when it is first used, so that `import meshlens`
itself is free. The eBPF kit for programs of your own is `meshlens.ebpf`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshlens.classify.kernel.session import FileVerdicts, VerdictSession, verdicts
    from meshlens.errors import MeshlensError, NotSupported, PermissionDenied, UsageError
    from meshlens.filters.compiler import CompiledList, compile_list
    from meshlens.filters.lists import FilterList, load_list, parse_list
    from meshlens.packet.capture import CapturedFrame, read_capture
    from meshlens.probes.classified import ClassCount, Classified, Reason
    from meshlens.probes.cost import ProbeCost
    from meshlens.probes.count.offline import count_files
    from meshlens.probes.count.pinned import PinnedCounter, open_pin, pin_names
    from meshlens.probes.count.pins import detach_pin
    from meshlens.probes.count.session import CountSession, count
    from meshlens.probes.flows.record import Flow
    from meshlens.probes.flows.session import flows
    from meshlens.probes.loading.load import load_program, unload_id, unload_pin
    from meshlens.probes.loading.loaded import Loaded, loaded_programs
    from meshlens.probes.loading.programs import find_program
    from meshlens.probes.snapshot import Count, Snapshot
    from meshlens.probes.stations.record import Station
    from meshlens.probes.stations.session import stations
    from meshlens.probes.traffic.record import InterfaceTraffic, Traffic
    from meshlens.probes.traffic.session import InterfaceSession, interfaces
    from meshlens.readings.reading import Reading
    from meshlens.readings.session import Monitor, monitor
    from meshlens.wifi.airtime import airtime_ns
    from meshlens.wifi.events.record import WifiEvent
    from meshlens.wifi.events.session import wifi_events
    from meshlens.wifi.joined.record import WifiStation
    from meshlens.wifi.joined.session import wifi_stations
    from meshlens.wifi.minstrel.record import MinstrelTable
    from meshlens.wifi.minstrel.session import minstrel_tables
    from meshlens.wifi.monitor.record import Transmitter
    from meshlens.wifi.monitor.session import transmitters
    from meshlens.wifi.rates import Rate

__all__ = [
    "CapturedFrame",
    "ClassCount",
    "Classified",
    "CompiledList",
    "Count",
    "CountSession",
    "FileVerdicts",
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
    "Reason",
    "Snapshot",
    "Station",
    "Traffic",
    "Transmitter",
    "UsageError",
    "VerdictSession",
    "WifiEvent",
    "WifiStation",
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
    "verdicts",
    "wifi_events",
    "wifi_stations",
]

__version__ = "0.1.0"

_HOMES = {
    "meshlens.classify.kernel.session": ("FileVerdicts", "VerdictSession", "verdicts"),
    "meshlens.errors": ("MeshlensError", "NotSupported", "PermissionDenied", "UsageError"),
    "meshlens.filters.compiler": ("CompiledList", "compile_list"),
    "meshlens.filters.lists": ("FilterList", "load_list", "parse_list"),
    "meshlens.packet.capture": ("CapturedFrame", "read_capture"),
    "meshlens.probes.count.session": ("CountSession", "count"),
    "meshlens.probes.flows.record": ("Flow",),
    "meshlens.probes.flows.session": ("flows",),
    "meshlens.probes.classified": ("ClassCount", "Classified", "Reason"),
    "meshlens.probes.loading.load": ("load_program", "unload_id", "unload_pin"),
    "meshlens.probes.loading.loaded": ("Loaded", "loaded_programs"),
    "meshlens.probes.count.offline": ("count_files",),
    "meshlens.probes.count.pinned": ("PinnedCounter", "open_pin", "pin_names"),
    "meshlens.probes.count.pins": ("detach_pin",),
    "meshlens.probes.loading.programs": ("find_program",),
    "meshlens.readings.session": ("Monitor", "monitor"),
    "meshlens.probes.cost": ("ProbeCost",),
    "meshlens.readings.reading": ("Reading",),
    "meshlens.probes.snapshot": ("Count", "Snapshot"),
    "meshlens.probes.stations.record": ("Station",),
    "meshlens.probes.stations.session": ("stations",),
    "meshlens.probes.traffic.session": ("InterfaceSession", "interfaces"),
    "meshlens.probes.traffic.record": ("InterfaceTraffic", "Traffic"),
    "meshlens.wifi.airtime": ("airtime_ns",),
    "meshlens.wifi.events.record": ("WifiEvent",),
    "meshlens.wifi.events.session": ("wifi_events",),
    "meshlens.wifi.joined.record": ("WifiStation",),
    "meshlens.wifi.joined.session": ("wifi_stations",),
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
