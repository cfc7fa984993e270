"""The filter lists in use: our own, and those of the collection where it is there."""

from functools import cache
from pathlib import Path

import meshlens
from meshlens.filters.lists import FilterList, load_list
from tests.data import DATA

__all__ = ["MAC", "real_lists"]

#: What `$MAC` stands for: an address that sends much in the captures.
MAC = "00:17:88:24:76:ff"


@cache
def real_lists() -> dict[str, FilterList]:
    """Each list by its file's name."""
    shipped = sorted((Path(meshlens.__file__).parent / "data").glob("mesh.*"))
    found = [path for path in sorted(DATA.glob("filters/*")) if path.suffix not in {".md", ".sh"}]
    return {path.name: load_list(path).with_mac(MAC) for path in (*shipped, *found)}
