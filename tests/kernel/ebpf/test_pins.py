"""What is pinned lives without a process and is found again by its path; what is not possible is said."""

import sys
import time
from pathlib import Path

import pytest

from meshlens.ebpf import (
    BpfError,
    Link,
    Map,
    MapSpec,
    MapType,
    Program,
    ProgramType,
    attach_clsact,
    attach_tcx,
    attach_xdp,
    attached,
    is_bpffs,
    mount_bpffs,
    open_link,
    sweep,
)  # fmt: skip
from meshlens.ebpf.bpffs import object_kind
from meshlens.errors import MeshlensError, NotSupported
from tests.kernel.conftest import NetNsPair
from tests.kernel.ebpf.counting import FRAME, counter, hits

pytestmark = [pytest.mark.root, pytest.mark.kernel]


def test_a_pinned_map_is_found_again_with_shape_and_content(bpffs: Path) -> None:
    path = str(bpffs / "table")
    with MapSpec("table", MapType.HASH, 4, 8, 10).create() as table:
        table.update(5, 6)
        table.pin(path)
    with Map.from_pin(path) as again:
        assert again.spec == MapSpec("table", MapType.HASH, 4, 8, 10)
        assert again.lookup(5) == (6).to_bytes(8, sys.byteorder)
    (bpffs / "table").unlink()
    with pytest.raises(MeshlensError, match=f"nothing is pinned at {path}"):
        Map.from_pin(path)


def test_a_pinned_program_runs_again_and_is_not_taken_for_a_map(bpffs: Path) -> None:
    path = str(bpffs / "program")
    with counter(ProgramType.XDP).load() as program:
        program.pin(path)
    with Program.from_pin(path) as again:
        assert again.test_run(FRAME).retval == 2
        assert object_kind(again.fileno()) == "prog"
    with pytest.raises(MeshlensError, match="no pinned map"):
        Map.from_pin(path)


def attach(hook: str, program: Program, ifindex: int) -> Link:
    if hook == "xdp":
        return attach_xdp(program, ifindex)
    if hook == "tcx":
        return attach_tcx(program, ifindex, "ingress")
    return attach_clsact(program, ifindex, "ingress")


@pytest.mark.parametrize("hook", ["tcx", "clsact", "xdp"])
def test_a_pinned_link_counts_without_us_until_it_is_detached(
    hook: str, bpffs: Path, netns_pair: NetNsPair
) -> None:
    near, far = netns_pair
    path = str(bpffs / "link")
    kind = ProgramType.XDP if hook == "xdp" else ProgramType.SCHED_CLS
    with counter(kind).load() as program:
        link = near.run(lambda: attach(hook, program, near.ifindex))
        link.pin(path)
        link.close()
        far.send(FRAME)
        time.sleep(0.05)
        assert hits(program) == 1
        assert near.run(lambda: sweep(near.ifindex)) == [], "a pin is no orphan"
        with near.run(lambda: open_link(path)) as found:
            assert found.hook.startswith(hook)
        far.send(FRAME)
        time.sleep(0.05)
        assert hits(program) == 2
        near.run(lambda: open_link(path)).detach()
        assert near.run(lambda: attached(near.ifindex)) == []
        far.send(FRAME)
        time.sleep(0.05)
        assert hits(program) == 2
    if hook == "clsact":
        with pytest.raises(MeshlensError, match="no pinned link"):
            near.run(lambda: open_link(path))


def test_a_path_that_is_taken_is_an_error(bpffs: Path) -> None:
    with MapSpec("m", MapType.ARRAY, 4, 4, 1).create() as array:
        array.pin(str(bpffs / "m"))
        with pytest.raises(MeshlensError, match="already taken"):
            array.pin(str(bpffs / "m"))


def test_without_bpffs_the_error_says_how_to_mount_one(tmp_path: Path) -> None:
    assert not is_bpffs(str(tmp_path))
    with MapSpec("m", MapType.ARRAY, 4, 4, 1).create() as array:
        with pytest.raises(NotSupported, match="mount -t bpf"):
            array.pin(str(tmp_path / "m"))
        with pytest.raises(NotSupported, match="mount -t bpf"):
            array.pin(str(tmp_path / "absent" / "m"))


def test_an_ordinary_file_is_no_pin(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises((MeshlensError, BpfError)):
        Map.from_pin(str(tmp_path / "file"))


def test_mounting_where_one_is_mounted_changes_nothing(bpffs: Path) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    mount_bpffs(str(bpffs))
    assert Path("/proc/self/mountinfo").read_text() == before
    assert is_bpffs(str(bpffs))
