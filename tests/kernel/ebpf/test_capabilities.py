"""Given-up capabilities are gone for good, kept ones and descriptors work, errors name what is missing."""

import os
import subprocess
import sys

import pytest

from meshlens.ebpf.capabilities import CAPABILITIES, drop_capabilities, has_capability
from meshlens.errors import UsageError

pytestmark = pytest.mark.root


def run(code: str) -> str:
    """Runs code in a process of its own: dropping is for good."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(["src", "."])}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_we_have_is_what_proc_says() -> None:
    with open("/proc/self/status") as status:
        effective = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff:"))
    for number, name in enumerate(CAPABILITIES):
        assert has_capability(name) == bool(effective >> number & 1)


def test_unknown_names_are_refused_before_anything_is_dropped() -> None:
    with pytest.raises(UsageError, match="'net_admn'"):
        has_capability("net_admn")
    with pytest.raises(UsageError, match="'net_admn'"):
        drop_capabilities(keep=["net_admn"])
    assert has_capability("net_admin")


def test_dropping_keeps_what_is_asked_for_and_nothing_else() -> None:
    code = """
from meshlens.ebpf.capabilities import CAPABILITIES, drop_capabilities, has_capability
drop_capabilities(keep=["net_admin"])
print(*[name for name in CAPABILITIES if has_capability(name)])
"""
    assert run(code) == "net_admin\n"


def test_programs_started_later_do_not_get_capabilities_back() -> None:
    code = """
import subprocess
from meshlens.ebpf.capabilities import drop_capabilities
drop_capabilities()
print(subprocess.run(["grep", "Cap", "/proc/self/status"], capture_output=True, text=True).stdout)
"""
    assert {line.split()[1] for line in run(code).splitlines() if line} == {"0000000000000000"}


def test_open_maps_still_work_and_new_ones_are_refused_by_name() -> None:
    code = """
from meshlens.ebpf import MapSpec, MapType, drop_capabilities
from meshlens.errors import PermissionDenied
spec = MapSpec("counters", MapType.ARRAY, 4, 4, 1)
with spec.create() as array:
    drop_capabilities()
    array.update(0, 7)
    print(array.lookup(0)[0] + array.lookup(0)[3])
try:
    spec.create()
except PermissionDenied as error:
    print(error)
"""
    first, second = run(code).splitlines()
    assert first == "7"
    assert "create map 'counters'" in second
    assert "run as root, or with CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON" in second
