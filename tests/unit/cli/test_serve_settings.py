"""The settings of the daemon: the example that is shipped, what contradicts itself, tokens."""

import re
import tomllib
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from meshlens.cli.serve_settings import Settings, load_settings, read_token
from meshlens.errors import UsageError

EXAMPLE = Path(__file__).parents[3] / "packaging" / "meshlens.toml"


def active(text: str) -> str:
    """The example with what is commented out in force: lines that are a key or a table behind a '#'."""
    return re.sub(r"^# (\[[a-z.]+\]|[a-z_]+ = )", r"\1", text, flags=re.MULTILINE)


def keys(kind: Any, inside: str = "") -> set[str]:
    """All keys that there are, with those of tables."""
    found = set()
    for name, hint in get_type_hints(kind).items():
        inner = next((each for each in (hint, *get_args(hint)) if is_dataclass(each)), None)
        found |= keys(inner, f"{inside}{name}.") if inner else {inside + name}
    return found


def paths(table: dict[str, Any], inside: str = "") -> set[str]:
    found = set()
    for name, value in table.items():
        found |= paths(value, f"{inside}{name}.") if isinstance(value, dict) else {inside + name}
    return found


def test_the_example_says_what_holds_without_it() -> None:
    assert load_settings(EXAMPLE) == Settings()
    assert load_settings(None) == Settings()


def test_the_example_has_every_key_and_with_all_in_force_it_is_right(tmp_path: Path) -> None:
    whole = active(EXAMPLE.read_text())
    whole = re.sub(r"^filters = \[\]\n", "", whole, flags=re.MULTILINE)
    assert paths(tomllib.loads(whole)) == keys(Settings)
    full = tmp_path / "full.toml"
    full.write_text(whole)
    settings = load_settings(full)
    assert settings.history
    assert all(getattr(settings.outputs, each.name) for each in fields(settings.outputs))
    for table in (
        settings.history,
        settings.outputs.influx,
        settings.outputs.jsonl,
        settings.outputs.parquet,
    ):
        for each in fields(table):  # type: ignore[arg-type]
            if each.default not in {MISSING, ""}:
                assert getattr(table, each.name) == each.default


def test_what_is_given_beside_the_file_stands_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text('interfaces = ["eth0"]\nlisten = "[::1]:80"\n')
    assert load_settings(path).address() == ("::1", 80)
    settings = load_settings(path, interfaces=["w*"], listen=":9000")
    assert settings.interfaces == ("w*",)
    assert settings.address() == ("127.0.0.1", 9000)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('probes = ["count"]', "the probe 'count' counts by filters: name a list in 'filters'"),
        ('probes = ["stations", "flow"]', "probes[1] cannot be 'flow'; did you mean 'flows'?"),
        ('interval = 30\n[history]\nfile = "h"', "a history takes an interval of at most 10 seconds"),
        ("[stations]\nidle = 9", "stations.idle has to be at least twice the interval, or none is ever told"),
        ("interval = 0", "interval has to be at least 0.1, not 0.0"),
        ("[history]", "history.file is missing: a text"),
        ('probes = ["classify"]', "the probe 'classify' classifies by a model: name one in [classify]"),
        ("[classify]", "classify.model is missing: a text"),
        ("[outputs.influx]", "outputs.influx needs a 'file', 'udp' or 'url'"),
        ("[outputs.respondd]", "outputs.respondd needs a 'socket' or a 'file'"),
        ("[outputs.parquett]", "no key outputs.parquett; did you mean outputs.parquet?"),
    ],
)
def test_what_contradicts_itself_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "m.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_settings(path)
    assert str(caught.value) == f"{path}: {complaint}"


@pytest.mark.parametrize("listen", ["localhost", "127.0.0.1:http", "127.0.0.1:70000", ":"])
def test_an_address_that_is_none_is_refused(listen: str) -> None:
    with pytest.raises(UsageError, match="listen takes HOST:PORT"):
        load_settings(None, listen=listen)


def test_a_model_is_run_if_there_is_one(tmp_path: Path) -> None:
    assert "classify" not in Settings().chosen_probes()
    path = tmp_path / "m.toml"
    path.write_text('[classify]\nmodel = "devices.json"\nactions = ["a=mark:7"]\nidle = 60\n')
    settings = load_settings(path)
    assert "classify" in settings.chosen_probes()
    assert settings.probe_options()["classify"] == {
        "model": "devices.json", "actions": ("a=mark:7",), "max_samples": 4096, "idle_s": 60
    }  # fmt: skip


def test_count_runs_if_there_are_filters_and_several_lists_are_one(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a;arp\n")
    two.write_text("# more\nb;ip\n")
    assert "count" not in Settings().chosen_probes()
    assert Settings().filter_list() is None
    settings = Settings(filters=(str(one), str(two)))
    assert "count" in settings.chosen_probes()
    listed = settings.filter_list()
    assert listed
    assert [each.id for each in listed] == ["a", "b"]
    two.write_text("b;ip\na;tcp\n")
    with pytest.raises(UsageError, match=rf"{two}:2: 'a' is in {one}:1, too"):
        settings.filter_list()


def test_a_token_is_read_without_blanks_and_a_short_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("0123456789abcdef0123\n")
    assert read_token(str(path)) == "0123456789abcdef0123"
    for bad in ("", "short", "é" * 20, "0123456789\n0123456789"):
        path.write_text(bad)
        with pytest.raises(UsageError, match=rf"{path}: a token has at least 16 characters"):
            read_token(str(path))
    with pytest.raises(UsageError, match="No such file"):
        read_token(str(tmp_path / "none"))
