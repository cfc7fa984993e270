"""`meshlens read` and `meshlens detach`, where nothing is pinned and no kernel is asked."""

from pathlib import Path

import pytest
from click import Context
from hypothesis import given
from hypothesis import strategies as st

from meshlens.cli.detach import command as detach
from meshlens.cli.main import run
from meshlens.cli.pins import complete_pin
from meshlens.errors import MeshlensError
from meshlens.probes.count import pinned, pins
from meshlens.probes.count.manifest import Manifest, PinnedAttachment, decode, encode
from meshlens.probes.count.readout import Layout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where pins would be."""
    monkeypatch.setattr(pinned, "ROOT", tmp_path / "meshlens")
    return tmp_path / "meshlens"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["read"], "Missing argument 'NAME'"),
        (["read", "x", "--json", "--format", "table"], "--json is --format json"),
        (["read", "x", "--interval", "0"], "0.0 is not in the range"),
        (["read", "x", "--format", "xml"], "'xml' is not one of"),
        (["detach"], "either NAME... or --all"),
        (["detach", "x", "--all"], "either NAME... or --all"),
        (["status", "--stats", "-1"], "-1.0 is not in the range"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    printed = capsys.readouterr()
    assert says in printed.err
    assert len(printed.err.splitlines()) == 1
    assert printed.out == ""


@pytest.mark.parametrize("command", ["read", "detach"])
def test_without_any_pin_the_error_says_that_there_is_none(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pinned, "is_bpffs", lambda path: True)
    assert run([command, "mesh0"]) == 1
    assert capsys.readouterr().err == "meshlens: nothing is pinned as 'mesh0': nothing is\n"


def test_without_a_bpffs_the_error_says_that(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pinned, "is_bpffs", lambda path: False)
    assert run(["read", "mesh0"]) == 1
    assert "no bpffs is mounted at /sys/fs/bpf here" in capsys.readouterr().err


def test_all_of_nothing_is_no_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["detach", "--all"]) == 0
    assert capsys.readouterr().out == "nothing is pinned\n"


def test_names_are_completed_as_they_were_given(folder: Path) -> None:
    for name in ("mesh0", "mesh1:2", "other"):
        (folder / name).mkdir(parents=True)
    context, parameter = Context(detach), detach.params[0]
    assert complete_pin(context, parameter, "me") == ["mesh0", "mesh1.2"]
    assert complete_pin(context, parameter, "") == ["mesh0", "mesh1.2", "other"]


def test_a_packet_socket_is_refused_before_anything_is_done(folder: Path) -> None:
    with pytest.raises(MeshlensError, match="ends with its process"):
        pins.pin_counters("x", None, attach="socket")  # type: ignore[arg-type]
    assert not folder.exists()


positions = st.lists(st.integers(0, 600), max_size=5).map(tuple)
layouts = st.builds(
    Layout, st.lists(st.text(max_size=20), max_size=5).map(tuple), st.lists(positions, max_size=8).map(tuple)
)
attachments = st.builds(
    PinnedAttachment,
    st.text(min_size=1, max_size=15),
    st.integers(1, 1 << 31),
    st.sampled_from(["in", "out"]),
    st.sampled_from(["tcx", "clsact", "xdp-native", "xdp-generic"]),
    st.integers(0, 3),
    st.integers(1, 1 << 31),
)
manifests = st.builds(
    Manifest,
    st.integers(0, 1 << 63),
    st.integers(0, 1 << 32),
    st.lists(attachments, max_size=4).map(tuple),
    st.lists(layouts, max_size=3).map(tuple),
)


@given(manifests)
def test_a_manifest_says_what_was_put_into_it(manifest: Manifest) -> None:
    assert decode(encode(manifest)) == manifest


def test_what_is_no_manifest_is_refused() -> None:
    for value in (b"", bytes(64), b"meshlens0" + bytes(64)):
        with pytest.raises(MeshlensError, match="not a manifest of this version"):
            decode(value)
