"""What it costs to read 100 stations of an access point, in machines with Debian kernels.

The machines are QEMU's without acceleration: Python is some twelve times slower there than on hardware.
"""

import json
import os
import sys
from collections.abc import Iterator

from bench.report import Figure, Skip
from tests.vm.kernels import NATIVE, Unavailable, fetched
from tests.vm.machine import Machine

_STATIONS = 100


def figures(quick: bool) -> Iterator[Figure]:
    for series in NATIVE:
        try:
            kernel = fetched(series)
        except Unavailable as reason:
            raise Skip(str(reason)) from None
        with Machine(kernel) as machine:
            arguments = (str(_STATIONS), "2" if quick else "10")
            python = [sys.executable, "-m", "tests.vm.guest.wifi_crowd", *arguments]
            said = machine.run(*python, environment={"PYTHONPATH": os.pathsep.join(sys.path)}, timeout_s=300)
        if said.code:
            raise RuntimeError(said.err)
        answer = json.loads(said.out)
        yield Figure(f"{series}: stations read", answer["stations"], "", at_least=_STATIONS)
        yield Figure(f"{series}: of them known to the programs", answer["hooked"], "", at_least=_STATIONS)
        for sources, ms in answer["ms"].items():
            yield Figure(f"{series}: CPU time of a reading, {sources}", ms, "ms")
        yield Figure(f"{series}: CPU time of the table", answer["table_ms"], "ms")
        yield Figure(f"{series}: memory of the process", answer["resident_mib"], "MiB")
