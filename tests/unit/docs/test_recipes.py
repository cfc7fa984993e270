"""The recipes: what they tell to type is what the commands take, and what they show was made."""

import re
import shlex
from pathlib import Path

import click
import pytest

from meshlens.cli.main import cli
from tools.recipe_traffic import SCENES
from tools.recipes import BLOCK, PAGES

ROOT = Path(__file__).parents[3]
each_recipe = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def commands(page: Path) -> list[str]:
    """What is typed in the page's console blocks."""
    blocks = re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith(("# ", "$ "))]


@each_recipe
def test_every_command_of_a_recipe_is_one_that_meshlens_takes(page: Path) -> None:
    taken = 0
    for line in commands(page):
        words = shlex.split(line, comments=False)
        if "meshlens" not in words:
            continue
        ours = words[words.index("meshlens") + 1 :]
        ours = ours[
            : next((at for at, word in enumerate(ours) if word in {"|", "&", ">", "2>/dev/null"}), len(ours))
        ]
        command = cli.get_command(click.Context(cli), ours[0])
        assert command is not None, line
        command.make_context(ours[0], ours[1:]).close()
        taken += 1
    assert taken


@each_recipe
def test_what_a_recipe_shows_was_printed_by_its_commands(page: Path) -> None:
    made = list(BLOCK.finditer(page.read_text()))
    assert made
    for block in made:
        assert block["scene"] in SCENES
        assert any(not line.startswith("# ") for line in block["body"].splitlines()), block["body"]


def test_every_recipe_is_linked_from_the_front_pages() -> None:
    for front in (ROOT / "docs" / "index.md", ROOT / "README.md"):
        for page in PAGES:
            assert f"{page.relative_to(front.parent)})" in front.read_text(), front


@pytest.mark.parametrize("name", SCENES)
def test_the_frames_of_a_scene_fit_its_interface(name: str) -> None:
    scene = SCENES[name]()
    assert scene.coming
    assert scene.going
    assert max(map(len, (*scene.coming, *scene.going))) <= scene.mtu + 18
