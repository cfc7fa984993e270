"""What the pages link to is there, and what they quote is what stands in the files."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import meshlens
from meshlens.filters.compiler import compile_list
from meshlens.filters.lists import parse_list
from meshlens.outputs.transmitters import transmitter_table
from meshlens.packet.capture import write_pcap
from meshlens.packet.wifi_mix import wifi_mix

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "packaging" / "README.md"]
FRONT = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("getting-started", "how-it-works"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_or_a_heading(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"\w+:", target):
            continue
        name, _, fragment = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), target
        if fragment:
            assert fragment in headings(linked), target


def headings(page: Path) -> set[str]:
    """The fragments by which GitHub links to a page's headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", FRONT, ids=lambda page: page.stem)
def test_every_list_shown_compiles(page: Path) -> None:
    lists = re.findall(r"```filters\n(.*?)```", page.read_text(), re.DOTALL)
    assert lists
    for text in lists:
        assert compile_list(parse_list(text).with_mac("02:00:00:00:00:01")).filters


def test_the_probe_in_the_readme_is_part_of_the_example() -> None:
    excerpt = re.findall(r"```python\n(for .*?)```", FRONT[0].read_text(), re.DOTALL)
    assert excerpt
    assert excerpt[0] in (ROOT / "examples" / "ttl_histogram.py").read_text()


def test_the_five_filters_explained_are_the_five_drawn() -> None:
    assert f"```filters\n{(ROOT / 'docs' / 'img' / 'five.filters').read_text()}```" in FRONT[2].read_text()


def test_the_airtimes_shown_are_those_of_the_formulas() -> None:
    results = doctest.testfile(str(ROOT / "docs" / "wifi-rate-control.md"), module_relative=False)
    assert results == (0, 3)


def test_the_wifi_statistics_are_those_of_the_survey() -> None:
    command = [sys.executable, str(ROOT / "tools" / "wifi_docs.py"), "--check"]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT / "src")})


@pytest.mark.parametrize("filter", ["", "wlan type data"])
def test_the_transmitters_shown_are_those_of_the_made_up_capture(filter: str, tmp_path: Path) -> None:
    path = tmp_path / "air.pcap"
    write_pcap(path, wifi_mix(), 127)
    heard = meshlens.transmitters(read=path, filter=filter)
    table = transmitter_table(heard.transmitters(), heard.outcomes)
    command = f"$ meshlens wifi --read air.pcap {filter}".rstrip()
    assert f"{command}\n{table}```" in (ROOT / "docs" / "wifi.md").read_text()
