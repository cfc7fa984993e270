"""Maps hold what is put into them, for every type the kit names; refusals say which map and why."""

import errno
import struct

import pytest

from meshlens.ebpf import (
    ANY,
    BPF_F_MMAPABLE,
    BPF_F_NO_PREALLOC,
    EXIST,
    NOEXIST,
    BpfError,
    MapSpec,
    MapType,
    possible_cpus,
)  # fmt: skip
from meshlens.errors import MeshlensError, PermissionDenied, UsageError

pytestmark = [pytest.mark.root, pytest.mark.kernel]

HASHES = (MapType.HASH, MapType.LRU_HASH)
PER_CPU = (MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH, MapType.PERCPU_ARRAY)


@pytest.mark.parametrize("kind", HASHES)
def test_a_hash_keeps_adds_replaces_and_forgets(kind: MapType) -> None:
    with MapSpec("h", kind, 6, 8, 1000).create() as table:
        assert table.lookup(b"abcdef") is None
        table.update(b"abcdef", 1)
        table.update(b"abcdef", 2)
        assert table.lookup(b"abcdef") == struct.pack("=Q", 2)
        assert table.delete(b"abcdef")
        assert not table.delete(b"abcdef")
        assert dict(table.items()) == {}


@pytest.mark.parametrize("kind", [*HASHES, MapType.ARRAY])
def test_pop_gives_the_last_value_and_removes_it(kind: MapType) -> None:
    with MapSpec("h", kind, 4, 8, 10).create() as table:
        table.update(1, 7)
        if kind is MapType.ARRAY:  # nothing can be removed from it
            with pytest.raises(BpfError):
                table.pop(1)
            return
        assert table.pop(1) == struct.pack("=Q", 7)
        assert table.pop(1) is None
        assert table.lookup(1) is None


def test_flags_decide_whether_a_key_may_or_must_exist() -> None:
    with MapSpec("h", MapType.HASH, 4, 4, 10, BPF_F_NO_PREALLOC).create() as table:
        with pytest.raises(BpfError) as refused:
            table.update(1, 1, EXIST)
        assert refused.value.errno == errno.ENOENT
        table.update(1, 1, NOEXIST)
        with pytest.raises(BpfError) as refused:
            table.update(1, 1, NOEXIST)
        assert refused.value.errno == errno.EEXIST
        table.update(1, 2, ANY)


def test_a_full_hash_refuses_by_name() -> None:
    with MapSpec("full", MapType.HASH, 4, 4, 2).create() as table:
        table.update(1, 1)
        table.update(2, 1)
        with pytest.raises(BpfError, match="'full'") as refused:
            table.update(3, 1)
        assert refused.value.errno == errno.E2BIG


@pytest.mark.parametrize("entries", [1, 7, 5000, 70_000])
def test_reading_all_items_gives_each_key_once_across_batches(entries: int) -> None:
    with MapSpec("h", MapType.HASH, 4, 8, entries).create() as table:
        expected = {struct.pack("=I", n): struct.pack("=Q", n * n) for n in range(entries)}
        for key, value in expected.items():
            table.update(key, value)
        items = list(table.items())
        assert len(items) == entries
        assert dict(items) == expected


def test_batches_and_single_reads_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    with MapSpec("h", MapType.HASH, 4, 4, 500).create() as table:
        for n in range(300):
            table.update(n, n)
        in_batches = sorted(table.items())
        monkeypatch.setattr("meshlens.ebpf.maps.read_batches", lambda *_: None)
        assert sorted(table.items()) == in_batches


def test_an_array_has_all_its_keys_from_the_start() -> None:
    with MapSpec("a", MapType.ARRAY, 4, 3, 5).create() as array:
        array.update(4, b"xyz")
        assert [value for _, value in array.items()] == [b"\0\0\0"] * 4 + [b"xyz"]
        with pytest.raises(MeshlensError, match="'a'"):
            array.update(5, b"xyz")


@pytest.mark.parametrize("kind", PER_CPU)
def test_a_per_cpu_map_has_a_value_for_each_possible_cpu(kind: MapType) -> None:
    with MapSpec("p", kind, 4, 5, 8).create() as table:
        values = [bytes([cpu]) * 5 for cpu in range(possible_cpus())]
        table.update(3, values)
        assert table.lookup_percpu(3) == values
        assert dict(table.items_percpu())[struct.pack("=I", 3)] == values
        table.update(3, b"equal")
        assert table.lookup_percpu(3) == [b"equal"] * possible_cpus()
        with pytest.raises(UsageError, match=r"lookup_percpu\(\)"):
            table.lookup(3)
        with pytest.raises(UsageError, match="possible CPUs"):
            table.update(3, [*values, b"extra"])


def test_possible_cpus_is_what_the_kernel_uses() -> None:
    with open("/proc/self/status") as status:
        mask = next(line for line in status if line.startswith("Cpus_allowed:")).split()[1]
    assert possible_cpus() >= int(mask.replace(",", ""), 16).bit_count() > 0


def test_shared_memory_of_an_array_shows_and_makes_changes() -> None:
    with MapSpec("m", MapType.ARRAY, 4, 12, 1000, BPF_F_MMAPABLE).create() as array:
        memory = array.mmap()
        assert len(memory) == 16 * 1000
        array.update(999, b"hello, world")
        assert bytes(memory[999 * 16 :][:12]) == b"hello, world"
        memory[16:28] = b"from outside"
        assert array.lookup(1) == b"from outside"
    with (
        MapSpec("plain", MapType.ARRAY, 4, 4, 1).create() as array,
        pytest.raises(UsageError, match="MMAPABLE"),
    ):
        array.mmap()


def test_a_frozen_map_takes_no_more_writes_from_user_space() -> None:
    with MapSpec("f", MapType.ARRAY, 4, 4, 1).create() as array:
        array.update(0, 7)
        array.freeze()
        with pytest.raises(PermissionDenied, match=r"'f'"):
            array.update(0, 8)
        assert array.lookup(0) == struct.pack("=I", 7)


def test_info_tells_shape_and_memory() -> None:
    with MapSpec("shape", MapType.HASH, 4, 16, 100).create() as table:
        info = table.info()
        assert (info.name, info.type, info.key_size, info.value_size) == ("shape", MapType.HASH, 4, 16)
        assert info.max_entries == 100
        assert info.memlock_bytes >= 100 * (4 + 16)
        assert info.id > 0


def test_sizes_are_checked_before_the_kernel_could_read_beyond() -> None:
    with MapSpec("h", MapType.HASH, 4, 4, 10).create() as table:
        with pytest.raises(UsageError, match=r"key of map 'h'.* is 4 bytes, not 2"):
            table.lookup(b"ab")
        with pytest.raises(UsageError, match=r"value of map 'h'.* is 4 bytes, not 5"):
            table.update(1, b"abcde")


def test_a_map_the_kernel_refuses_is_named_with_its_shape() -> None:
    with pytest.raises(BpfError, match=r"create map 'none' \(hash, 0 entries of 4\+4 bytes\)"):
        MapSpec("none", MapType.HASH, 4, 4, 0).create()


def test_a_closed_map_says_so() -> None:
    table = MapSpec("h", MapType.HASH, 4, 4, 10).create()
    table.close()
    with pytest.raises(ValueError, match="closed"):
        table.lookup(1)
