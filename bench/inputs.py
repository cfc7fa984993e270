"""What is measured on: the filter lists that people run, and mesh traffic by kinds of frames."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Final

from bench.report import Skip
from meshlens.filters.compiler import CompiledList, compile_list
from meshlens.filters.lists import FilterList, load_list
from meshlens.packet.mesh import MeshFrame, overhead_mix, payload_mix

__all__ = [
    "DATA",
    "GLUON",
    "HANNOVER",
    "by_kind",
    "compiled",
    "data_path",
    "filter_list",
    "list_path",
    "overhead",
    "payload",
    "weighted_mean",
]

#: What $MAC stands for.
MAC: Final = "02:00:00:00:00:01"
GLUON: Final = "gluon-statistics-mcast.mesh.filters"
HANNOVER: Final = "freifunk-hannover.ansible-ffh.bpfcount.filters.j2"

DATA: Final = Path(os.environ.get("MESHLENS_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
_FRAMES_OF_A_KIND: Final = 3


def data_path(name: str) -> Path:
    """Where a data set is. Raises Skip if it is not there."""
    path = DATA / name
    if not path.exists():
        raise Skip(f"no {path}; MESHLENS_TEST_DATA says where data sets are")
    return path


def list_path(name: str) -> Path:
    """Where a list is. Raises Skip if it is not there."""
    path = DATA / "filters" / name
    if not path.exists():
        raise Skip(f"no {path}; MESHLENS_TEST_DATA names the directory that holds filters/{name}")
    return path


@cache
def filter_list(name: str) -> FilterList:
    return load_list(list_path(name)).with_mac(MAC)


@cache
def compiled(name: str) -> CompiledList:
    """The list with its helpers counted as well: all 580 of Gluon's."""
    return compile_list(filter_list(name), helpers=True)


@cache
def overhead() -> list[MeshFrame]:
    return overhead_mix()


@cache
def payload() -> list[MeshFrame]:
    return payload_mix()


def by_kind(frames: Iterable[MeshFrame], kind: str = "") -> dict[str, list[bytes]]:
    """A few frames of each kind that begins with `kind`."""
    kinds: defaultdict[str, list[bytes]] = defaultdict(list)
    for frame in frames:
        if frame.kind.startswith(kind) and len(kinds[frame.kind]) < _FRAMES_OF_A_KIND:
            kinds[frame.kind].append(frame.data)
    return {name: some for name, some in kinds.items() if some}


def weighted_mean(values: Mapping[str, float], frames: Iterable[MeshFrame]) -> float:
    """The mean over `frames` of the values of their kinds."""
    counts = Counter(frame.kind for frame in frames if frame.kind in values)
    return fmean(values.values()) if not counts else fmean(values[kind] for kind in counts.elements())
