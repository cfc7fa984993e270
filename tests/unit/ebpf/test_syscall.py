"""The right system call on every machine, and errors that say what to do."""

import errno
import os
import re
import sys
from enum import IntEnum
from pathlib import Path

import pytest

from meshlens.ebpf.constants import AttachType, Command, MapType, ProgramType
from meshlens.ebpf.helpers import Helper
from meshlens.ebpf.names import kernel_name
from meshlens.ebpf.netlink import attribute, attributes
from meshlens.ebpf.syscall import BpfError, syscall_number, translate
from meshlens.errors import NotSupported, PermissionDenied

HEADER = Path("/usr/include/linux/bpf.h")


@pytest.mark.parametrize(
    ("machine", "pointer_bytes", "number"),
    [
        ("x86_64", 8, 321),
        ("i686", 4, 357),
        ("x86_64", 4, 357),
        ("aarch64", 8, 280),
        ("aarch64", 4, 386),
        ("armv7l", 4, 386),
        ("riscv64", 8, 280),
        ("mips", 4, 4355),
        ("mips64", 8, 5315),
        ("mips64", 4, 4355),
        ("ppc64le", 8, 361),
        ("ppc", 4, 361),
        ("s390x", 8, 351),
        ("loongarch64", 8, 280),
        ("sparc64", 8, 349),
    ],
)
def test_the_number_of_bpf_by_machine(machine: str, pointer_bytes: int, number: int) -> None:
    assert syscall_number(machine, pointer_bytes) == number


def test_this_machines_number_is_the_one_in_its_headers() -> None:
    for path in ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm-generic/unistd.h"):
        if Path(path).exists() and sys.maxsize > 1 << 32:
            found = re.search(r"define __NR_bpf (\d+)", Path(path).read_text())
            assert found is not None
            if "x86" in path:
                assert int(found[1]) == syscall_number("x86_64", 8)
            else:
                assert int(found[1]) == syscall_number("riscv64", 8) == syscall_number("aarch64", 8)


def test_an_unknown_machine_is_said() -> None:
    with pytest.raises(NotSupported, match="vax"):
        syscall_number("vax", 4)


@pytest.mark.skipif(not HEADER.exists(), reason="no kernel headers")
@pytest.mark.parametrize(
    ("enumeration", "kernels", "prefix"),
    [
        (MapType, "bpf_map_type", "BPF_MAP_TYPE_"),
        (ProgramType, "bpf_prog_type", "BPF_PROG_TYPE_"),
        (AttachType, "bpf_attach_type", "BPF_"),
        (Command, "bpf_cmd", "BPF_"),
    ],
)
def test_names_have_the_numbers_of_the_kernel_headers(
    enumeration: type[IntEnum], kernels: str, prefix: str
) -> None:
    found = re.search(rf"enum {kernels} {{(.*?)\n}}", HEADER.read_text(), re.DOTALL)
    assert found is not None
    names = re.findall(r"^\t(BPF_\w+)(?: = (\w+))?,", found[1], re.MULTILINE)
    in_order = [name.removeprefix(prefix) for name, value in names if not value.startswith("BPF")]
    ours = {member.name: int(member) for member in enumeration}
    for number, name in enumerate(in_order):
        assert ours[name] == number


@pytest.mark.skipif(not HEADER.exists(), reason="no kernel headers")
def test_helpers_have_the_numbers_of_the_kernel_headers() -> None:
    listed = HEADER.read_text().split("#define __BPF_FUNC_MAPPER", 1)[1].split("/* integer value", 1)[0]
    names = re.findall(r"FN\((\w+)(?:, (\d+),.*)?\)", listed)
    assert len(names) > 200
    for number, (name, explicit) in enumerate(names):
        assert Helper[name] == int(explicit or number)


def test_errors_become_what_a_person_can_act_on() -> None:
    assert isinstance(translate(OSError(errno.EPERM, ""), "x"), PermissionDenied)
    assert isinstance(translate(OSError(errno.EACCES, ""), "x"), PermissionDenied)
    assert isinstance(translate(OSError(errno.ENOSYS, ""), "x"), NotSupported)
    assert isinstance(translate(OSError(524, ""), "x"), NotSupported)
    other = translate(OSError(errno.E2BIG, os.strerror(errno.E2BIG)), "fill the map")
    assert isinstance(other, BpfError)
    assert other.errno == errno.E2BIG
    assert str(other) == f"cannot fill the map: {os.strerror(errno.E2BIG)}"


def test_names_are_made_acceptable_to_the_kernel() -> None:
    assert kernel_name("eth0 → wlan0/näme") == b"eth0___wlan0_n_"
    assert kernel_name("a" * 40) == b"a" * 15
    assert kernel_name("") == b""


def test_netlink_attributes_are_padded_and_read_back() -> None:
    data = attribute(1, b"abc") + attribute(0x8002, b"") + attribute(3, b"12345678")
    assert len(data) == 8 + 4 + 12
    assert attributes(data) == {1: b"abc", 2: b"", 3: b"12345678"}
    assert attributes(data + b"\1\0\0\0xx") == attributes(data), "a broken tail ends the list"
