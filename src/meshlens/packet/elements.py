"""Information elements: what management frames tell, one element after another.

The kinds and the order of the elements differ between devices and are kept as they stand; what is in them is
not judged. Source: IEEE 802.11-2020, 9.4.2.1 (elements), 9.3.3 (what stands before them).
"""

from typing import Final, NamedTuple

from meshlens.packet.ieee80211 import KINDS, Dot11

__all__ = ["EXTENSION", "FIXED_BYTES", "Element", "Elements", "elements_of", "parse_elements"]

#: The number of elements that carry a second number, their extension, in their first byte.
EXTENSION: Final = 255

#: Bytes between the header and the first element, by the kind of frame; other kinds have no elements, or
#: such that depend on their content.
FIXED_BYTES: Final = {
    "assoc-req": 4,
    "assoc-resp": 6,
    "reassoc-req": 10,
    "reassoc-resp": 6,
    "probe-req": 0,
    "probe-resp": 12,
    "timing-adv": 10,
    "beacon": 12,
    "disassoc": 2,
    "auth": 6,
    "deauth": 2,
}
assert FIXED_BYTES.keys() <= set(KINDS)


class Element(NamedTuple):
    """An element: its number, its extension if the number is EXTENSION, and its bytes behind these."""

    id: int
    extension: int | None
    data: bytes


class Elements(NamedTuple):
    """Elements in their order; `rest` is what stands behind the last whole one and is none."""

    elements: tuple[Element, ...]
    rest: bytes


def parse_elements(data: bytes) -> Elements:
    """The elements that `data` consists of; ends where one would be longer than what is left."""
    found: list[Element] = []
    at = 0
    while at + 2 <= len(data):
        number, size = data[at], data[at + 1]
        end = at + 2 + size
        if end > len(data) or (number == EXTENSION and not size):
            break
        if number == EXTENSION:
            found.append(Element(number, data[at + 2], data[at + 3 : end]))
        else:
            found.append(Element(number, None, data[at + 2 : end]))
        at = end
    return Elements(tuple(found), data[at:])


def elements_of(header: Dot11, body: bytes) -> Elements | None:
    """The elements of a management frame with the `body` behind its header (without the FCS).

    None if this kind of frame has none, if its body is encrypted or too short for what stands before them.
    """
    fixed = FIXED_BYTES.get(header.kind)
    if fixed is None or header.protected or len(body) < fixed:
        return None
    return parse_elements(body[fixed:])
