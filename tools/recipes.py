"""Run the commands of docs/recipes, top.md and history.md, and write what they print into the pages.

In a page stands `<!-- scene: NAME -->` above each console block whose output is real. Its commands (lines
that begin with "# ") are run one after another by a shell in a network namespace of their own, while the
traffic of that scene passes; all other lines of the block are replaced by what they print.

python -m tools.recipes [PAGE]...   (as root)
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.recipe_traffic import SCENES, playing

ROOT = Path(__file__).resolve().parent.parent
PAGES = (
    ROOT / "docs" / "top.md",
    ROOT / "docs" / "history.md",
    *sorted((ROOT / "docs" / "recipes").glob("*.md")),
)
BLOCK = re.compile(r"(?P<head><!-- scene: (?P<scene>\w+) -->\n```console\n)(?P<body>.*?)(?=```\n)", re.DOTALL)
PROMPT = "# "
#: Traffic passes before the first command, as it would.
HEAD_START_SECONDS = 1.0


def main(names: list[str]) -> int:
    """Make the pages of these names anew, by default all."""
    if os.geteuid():
        sys.exit("making the recipes' output needs root: network namespaces, eBPF programs")
    for page in PAGES:
        if not names or page.stem in names:
            print(page.relative_to(ROOT), flush=True)
            page.write_text(BLOCK.sub(lambda found: found["head"] + made(found), page.read_text()))
    return 0


def made(block: re.Match[str]) -> str:
    """The commands of a block as they are typed, each with its output."""
    commands = [line.removeprefix(PROMPT) for line in block["body"].splitlines() if line.startswith(PROMPT)]
    script = "\n".join(["trap 'kill $(jobs -p) 2>/dev/null' EXIT", *map(typed, commands)])
    with TemporaryDirectory() as directory, playing(SCENES[block["scene"]]()) as namespace:
        time.sleep(HEAD_START_SECONDS)
        done = subprocess.run(
            namespace.command("bash", "-c", script),
            cwd=ROOT / "src" / "meshlens" / "data",
            env=environment(Path(directory)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
    return done.stdout


def typed(command: str) -> str:
    """The command, said before it is run."""
    quoted = command.replace("'", "'\\''")
    return f"printf '%s\\n' '{PROMPT}{quoted}'\n{command}"


def environment(directory: Path) -> dict[str, str]:
    """In which `meshlens` is that of this tree."""
    command = directory / "meshlens"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m meshlens "$@"\n')
    command.chmod(0o755)
    path = f"{directory}:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "100", "LC_ALL": "C.UTF-8"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
