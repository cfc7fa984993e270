"""A bpffs that only this test process sees."""

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshlens.ebpf import mount_bpffs

MNT_DETACH = 2


@pytest.fixture
def bpffs(tmp_path: Path) -> Iterator[Path]:
    """A fresh bpffs in a temporary directory, gone afterwards with all that was pinned."""
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts a bpffs")
    folder = tmp_path / "bpffs"
    folder.mkdir()
    mount_bpffs(str(folder))
    yield folder
    assert ctypes.CDLL(None, use_errno=True).umount2(bytes(folder), MNT_DETACH) == 0
