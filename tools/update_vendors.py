"""Pack IEEE's registry of MAC addresses into src/meshlens/data/vendors.bin.

    python tools/update_vendors.py                       # from standards-oui.ieee.org
    python tools/update_vendors.py /usr/share/ieee-data  # from Debian's package ieee-data
    python tools/update_vendors.py oui.csv mam.csv oui36.csv iab.csv

Sources are URLs, files, or directories that hold these four files, as IEEE publishes them. IEEE asserts no
copyright in the list and restricts its distribution in no way.
"""

import csv
import io
import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.request import urlopen

from meshlens.probes.stations.vendors import BITS, VENDORS, pack_index

FILES = ("oui.csv", "mam.csv", "oui36.csv", "iab.csv")
IEEE = tuple(
    f"https://standards-oui.ieee.org/{name.removesuffix('.csv').replace('mam', 'oui28')}/{name}"
    for name in FILES
)
PREFIXES_IN_BLOCK, NAMES_IN_BLOCK = 1024, 400


def texts(sources: Sequence[str]) -> Iterator[tuple[str, datetime]]:
    """The contents of the files, and of when they are."""
    for source in sources:
        if source.startswith("https://"):
            with urlopen(source, timeout=60) as answer:  # noqa: S310 - it is https
                changed = parsedate_to_datetime(answer.headers["Last-Modified"])
                yield answer.read().decode("utf-8", "replace"), changed
        elif Path(source).is_dir():
            yield from texts([str(Path(source) / name) for name in FILES])
        else:
            changed = datetime.fromtimestamp(Path(source).stat().st_mtime, UTC)
            yield Path(source).read_text(encoding="utf-8", errors="replace"), changed


def assignments(sources: Sequence[str]) -> tuple[dict[str, str], datetime]:
    """Prefix in hexadecimal -> organization; the date of the oldest file."""
    found, dates = dict[str, str](), []
    for text, changed in texts(sources):
        dates.append(changed)
        for row in csv.DictReader(io.StringIO(text)):
            name = " ".join(row["Organization Name"].split())
            if name and len(row["Assignment"]) * 4 in BITS:
                found[row["Assignment"]] = name
    return found, min(dates)


def pack(found: dict[str, str], as_of: datetime) -> bytes:
    """The file; see meshlens.probes.stations.vendors."""
    blocks = bytearray()

    def place(content: bytes) -> tuple[int, int]:
        packed = zlib.compress(content, 9)
        blocks.extend(packed)
        return len(blocks) - len(packed), len(packed)

    names = sorted(set(found.values()))
    numbers = {name: number for number, name in enumerate(names)}
    index = {}
    for bits in BITS:
        prefixes = sorted(prefix for prefix in found if len(prefix) * 4 == bits)
        index[bits] = [
            (
                int(some[0], 16),
                *place(
                    pack_index(
                        [int(each, 16) for each in some], [numbers[found[each]] for each in some], bits
                    )
                ),
            )
            for some in parts(prefixes, PREFIXES_IN_BLOCK)
        ]
    head = {
        "source": "IEEE Registration Authority: MA-L, MA-M, MA-S, IAB (standards-oui.ieee.org)",
        "as_of": as_of.date().isoformat(),
        "assignments": len(found),
        "names_in_block": NAMES_IN_BLOCK,
        "index": index,
        "names": [place("\n".join(some).encode()) for some in parts(names, NAMES_IN_BLOCK)],
    }
    return json.dumps(head, separators=(",", ":")).encode() + b"\n" + bytes(blocks)


def parts(items: list[str], size: int) -> Iterator[list[str]]:
    """The list in pieces."""
    return (items[at : at + size] for at in range(0, len(items), size))


def main() -> None:
    """Pack what the arguments name."""
    found, as_of = assignments(sys.argv[1:] or IEEE)
    packed = pack(found, as_of)
    VENDORS.write_bytes(packed)
    print(f"{VENDORS}: {len(found)} assignments as of {as_of:%Y-%m-%d}, {len(packed)} bytes")


if __name__ == "__main__":
    main()
