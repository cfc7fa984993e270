"""What is wrong in a TOML file is said with the file, the key, and what would be right."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from meshlens.cli.toml import load_toml
from meshlens.errors import UsageError


@dataclass(frozen=True)
class Inner:
    size: int = field(default=3, metadata={"at_least": 1, "at_most": 9})
    ratio: float = 0.5


@dataclass(frozen=True)
class Needed:
    path: str


@dataclass(frozen=True)
class Outer:
    names: tuple[str, ...] = ()
    way: Literal["in", "out"] = "in"
    loud: bool = False
    limit: int | None = None
    modes: tuple[Literal["fast", "slow"], ...] | None = None
    inner: Inner = field(default_factory=Inner)
    needed: Needed | None = None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.toml"


def test_what_is_not_there_is_as_declared_and_what_is_there_is_taken(path: Path) -> None:
    path.write_text("")
    assert load_toml(path, Outer) == Outer()
    path.write_text(
        'names = ["a", "b"]\nway = "out"\nloud = true\nlimit = 4\nmodes = ["slow"]\n'
        '[inner]\nsize = 9\nratio = 2\n[needed]\npath = "/x"\n'
    )
    wanted = Outer(("a", "b"), "out", True, 4, ("slow",), Inner(9, 2.0), Needed("/x"))
    assert load_toml(path, Outer) == wanted


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nmaes = []", "no key nmaes; did you mean names?"),
        ("zzz = 1", "no key zzz; there are names, way, loud, limit, modes, inner, needed"),
        ("[inner]\nsise = 3", "no key inner.sise; did you mean inner.size?"),
        ('names = "a"', "names has to be a list, each a text, not 'a'"),
        ("names = [1]", "names[0] has to be a text, not 1"),
        ('way = "ot"', "way cannot be 'ot'; did you mean 'out'?"),
        ('way = "sideways"', "way cannot be 'sideways'; there are in, out"),
        ("way = 3", "way has to be one of 'in', 'out', not 3"),
        ('modes = ["fast", "fats"]', "modes[1] cannot be 'fats'; did you mean 'fast'?"),
        ("loud = 1", "loud has to be true or false, not 1"),
        ("limit = true", "limit has to be a whole number, not True"),
        ("limit = 1.5", "limit has to be a whole number, not 1.5"),
        ("inner = 3", "inner has to be a table, not 3"),
        ("[names]", "names has to be a list, each a text, not a table"),
        ("[inner]\nsize = 0", "inner.size has to be at least 1, not 0"),
        ("[inner]\nsize = 10", "inner.size can be at most 9, not 10"),
        ('[inner]\nratio = "x"', "inner.ratio has to be a number, not 'x'"),
        ("[needed]", "needed.path is missing: a text"),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_right(path: Path, text: str, complaint: str) -> None:
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_toml(path, Outer)
    assert str(caught.value) == f"{path}: {complaint}"


def test_what_is_no_toml_is_said_with_its_place(path: Path) -> None:
    path.write_text("names = [\nway = 1")
    with pytest.raises(UsageError, match=rf"{path}: .*line 2"):
        load_toml(path, Outer)
    path.write_bytes(b"\xff")
    with pytest.raises(UsageError, match=str(path)):
        load_toml(path, Outer)
    with pytest.raises(UsageError, match=f"{path.parent}/none: No such file"):
        load_toml(path.parent / "none", Outer)
