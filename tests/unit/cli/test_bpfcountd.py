"""`meshlens bpfcountd` takes what bpfcountd takes: the options of its getopt string."""

import pytest

from meshlens.cli.bpfcountd import command
from meshlens.cli.main import run


def test_its_options_are_bpfcountds() -> None:
    options = {option for each in command.params for option in each.opts}
    assert options == {"-i", "-f", "-F", "-b", "-u"}  # and -h, which every command has


def test_an_init_script_needs_no_other_change() -> None:
    """As OpenWrt's and Gluon's start it."""
    words = ["-i", "mesh0", "-f", "/etc/x", "-u", "/run/x.sock", "-F", "inbound and (not ip)", "-b", "131072"]
    context = command.make_context("bpfcountd", words)
    assert context.params == {
        "interface": "mesh0",
        "list_path": "/etc/x",
        "socket_path": "/run/x.sock",
        "prefilter": "inbound and (not ip)",
    }


def test_the_socket_is_by_default_where_bpfcountd_has_it() -> None:
    assert command.make_context("bpfcountd", ["-i", "x", "-f", "y"]).params["socket_path"] == "test.sock"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-f", "x"], "Missing option '-i'"),
        (["-i", "x"], "Missing option '-f'"),
        (["-i", "x", "-f", "y", "-b", "many"], "'many' is not a valid integer"),
        (["-i", "x", "-f", "/nowhere/y"], "cannot read filter list /nowhere/y"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bpfcountd", *words]) == 2
    printed = capsys.readouterr()
    assert says in printed.err
    assert len(printed.err.splitlines()) == 1
