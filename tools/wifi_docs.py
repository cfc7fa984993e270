#!/usr/bin/env python3
"""Write docs/wifi-statistics.md from the survey; with --check, only tell whether it is current."""

import sys
from pathlib import Path

from meshlens.wifi.survey import survey_markdown

PAGE = Path(__file__).resolve().parent.parent / "docs" / "wifi-statistics.md"

HEAD = """\
# Wi-Fi statistics

What can be known about Wi-Fi on Linux: each statistic, its unit, where in the kernel, the standard or the
driver it comes from, and what shows it. The same survey is printed by `meshlens wifi --survey`, and with
`--json` as data. [Wi-Fi](wifi.md) says how to get the numbers.

Made from `src/meshlens/data/wifi-statistics.toml` by `make docs`. Kernel names are those of Linux 6.12
(net/mac80211, net/wireless), sections those of IEEE 802.11-2020.

"""


def main(arguments: list[str]) -> int:
    """Write or check the page."""
    text = HEAD + survey_markdown()
    if arguments != ["--check"]:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        print(f"docs/{PAGE.name} is out of date: run 'make docs' and commit it", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
