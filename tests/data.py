"""Where the large collections of captures lie that are not shipped; tests skip, and say so, without them."""

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("MESHLENS_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no collection of captures at {DATA}")


def captures(collection: str) -> list[Path]:
    """All capture files of one collection, in a fixed order."""
    files = (DATA / collection).rglob("*")
    return sorted(path for path in files if path.suffix in {".cap", ".pcap", ".pcapng"})


def collections() -> list[str]:
    """The names of the collections that hold capture files."""
    return sorted(path.name for path in DATA.iterdir() if captures(path.name)) if DATA.is_dir() else []
