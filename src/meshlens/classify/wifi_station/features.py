"""The features of a station that joins a network: two blocks of information elements, and a few numbers.

Which elements a request has, in which order, how long they are and what some of their bytes say follows from
radio, driver and operating system, that is, from the model. A station's probe requests and its association
requests differ, so the same table is filled twice. An element is taken from the first request that has it:
stations probe with and without some of them.

Bytes are features of their own where they are flags or numbers of one byte. The network's name is left out,
as are how often and when a station asks: they tell about the place and the day.

Sources: IEEE 802.11-2020, 9.4.2 (elements), 9.4.1.4 and 9.4.1.6 (capability, listen interval); 802.11ax and
802.11be, 9.4.2; vendors' elements have the names of wireshark and hostapd (ieee802_11_defs.h).
"""

from dataclasses import dataclass
from typing import Final

from meshlens.classify.features import Feature
from meshlens.packet.elements import EXTENSION

__all__ = [
    "BLOCKS",
    "CONTENT_BYTES",
    "FEATURES",
    "FIXED",
    "HEAD",
    "MAX_ELEMENTS",
    "SLOTS",
    "VENDOR",
    "Slot",
    "block_place",
    "element_key",
]

#: The number of a vendor's element: its OUI and a number of the vendor's choice come first.
VENDOR: Final = 221
#: As many elements of a frame are looked at; real requests have half as many.
MAX_ELEMENTS: Final = 64
#: As many bytes of an element's content are looked at, those behind its number and its length.
CONTENT_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Slot:
    """An element that is looked at: its key (see `element_key`), and the bytes of its content that count.

    `bytes` are (name, place in the content).
    """

    name: str
    key: int
    bytes: tuple[tuple[str, int], ...]
    group: str = "elements"

    @property
    def features(self) -> int:
        """How many features it has: its place among the elements, its length, its bytes."""
        return 2 + len(self.bytes)


def element_key(number: int, content: bytes) -> int:
    """What kind of element this is, as one number: also tells apart vendors' elements and extensions.

    The number; with the extension above it; with OUI and type above it, where a vendor's element has them.
    """
    if number == EXTENSION and content:
        return number | content[0] << 8
    if number == VENDOR and len(content) >= 4:
        return number | int.from_bytes(content[:4]) << 8
    return number


def _slot(name: str, key: int, names: str = "", group: str = "elements") -> Slot:
    """A slot, with names for the first bytes of the content: `-` leaves one out, `name*3` names three."""
    found: list[tuple[str, int]] = []
    place = 0
    for word in names.split():
        name_, _, times = word.partition("*")
        for number in range(int(times or 1)):
            if name_ != "-":
                found.append((f"{name_}_{number}" if times else name_, place))
            place += 1
    assert place <= CONTENT_BYTES
    return Slot(name, key, tuple(found), group)


def _extension(number: int) -> int:
    return EXTENSION | number << 8


def _vendor(oui_and_type: int) -> int:
    return VENDOR | oui_and_type << 8


#: The elements that are looked at.
SLOTS: Final = (
    _slot("rates", 1, "rate*8", "rates"),
    _slot("extended_rates", 50, "rate*4", "rates"),
    _slot("ds", 3),
    _slot("ht", 45, "info*2 ampdu mcs*4 -*6 speed*2 tx_mcs -*3 extended*2 beamforming*4 selection",
          "capabilities"),
    _slot("extended", 127, "bits*10", "capabilities"),
    _slot("vht", 191, "info*4 mcs*8", "capabilities"),
    _slot("he", _extension(35), "- mac*6 phy*11 mcs*4", "capabilities"),
    _slot("he_6ghz", _extension(59), "- info*2", "capabilities"),
    _slot("eht", _extension(108), "- mac*2 phy*9", "capabilities"),
    _slot("interworking", 107, "options"),
    _slot("rsn", 48, "-*5 group -*5 pairwise -*5 key capabilities*2"),
    _slot("power", 33, "least most", "capabilities"),
    _slot("channels", 36, "range*10", "capabilities"),
    _slot("radio", 70, "bits*5", "capabilities"),
    _slot("classes", 59, "class*2", "capabilities"),
    _slot("operating_mode", 199, "mode", "capabilities"),
    _slot("coexistence", 72),
    _slot("qos", 46, "info", "capabilities"),
    _slot("mobility_domain", 54),
    _slot("mesh", 114),
    _slot("multiband", 158),
    _slot("wmm", _vendor(0x0050F202), "-*6 qos"),
    _slot("microsoft", _vendor(0x0050F208), "-*4 data*2"),
    _slot("wps", _vendor(0x0050F204), "-*13 data*4"),
    _slot("broadcom", _vendor(0x00101802), "-*4 data*5"),
    _slot("epigram_ht", _vendor(0x00904C33), "-*4 data*4"),
    _slot("epigram_vht", _vendor(0x00904C04), "-*4 data*6"),
    _slot("epigram_5c", _vendor(0x00904C5C)),
    _slot("apple", _vendor(0x0017F20A), "-*4 data*7"),
    _slot("hotspot", _vendor(0x506F9A10), "-*4 data"),
    _slot("p2p", _vendor(0x506F9A09), "-*7 data*2"),
    _slot("display", _vendor(0x506F9A0A), "-*7 data*2"),
    _slot("multiband_operation", _vendor(0x506F9A16), "-*4 data*3"),
    _slot("ralink", _vendor(0x000C4306), "-*4 data*3"),
    _slot("ralink_0", _vendor(0x000C4300)),
    _slot("samsung", _vendor(0x00163240), "-*4 data*4"),
    _slot("cisco_1", _vendor(0x00409601)),
    _slot("cisco_3", _vendor(0x00409603)),
    _slot("marvell", _vendor(0x00504301)),
    _slot("atheros", _vendor(0x00037F01), "-*4 data*4"),
    _slot("qualcomm", _vendor(0x8CFDF001), "-*4 data*2"),
    _slot("intel", _vendor(0x00173500)),
    _slot("mediatek", _vendor(0x000CE708)),
)  # fmt: skip
assert len({slot.key for slot in SLOTS}) == len(SLOTS)

#: What an association request has before its elements.
FIXED: Final = Slot("fixed", -1, (("capability_0", 0), ("capability_1", 1), ("listen_interval", 2)))

#: The numbers that a row begins with; the band is 1 for 2.4 GHz, 2 for what is above, 0 if nobody tells.
HEAD: Final = (
    Feature("band", "rates"),
    Feature("oui", "oui"),
    Feature("local", "oui"),
)
#: The numbers that a block begins with: how many elements, how many of these are in no slot (the most that
#: a request had), and the rate of the first request that tells one (500 kbit/s).
_BLOCK: Final = (("elements", "elements"), ("others", "elements"), ("rate", "rates"))
#: The two blocks; the second one has the fixed part as well.
BLOCKS: Final = ("probe", "assoc")


def _slot_features(block: str, slot: Slot) -> list[Feature]:
    names = [f"{slot.name}.place", f"{slot.name}.length", *(f"{slot.name}.{name}" for name, _ in slot.bytes)]
    groups = ["elements", "elements", *[slot.group] * len(slot.bytes)]
    return [Feature(f"{block}.{name}", group) for name, group in zip(names, groups, strict=True)]


def _block_features(block: str) -> list[Feature]:
    own = [Feature(f"{block}.{name}", group) for name, group in _BLOCK]
    return own + [feature for slot in SLOTS for feature in _slot_features(block, slot)]


FEATURES: Final = (
    *HEAD,
    *_block_features("probe"),
    *_block_features("assoc"),
    *(Feature(f"assoc.{name}", "capabilities") for name, _ in FIXED.bytes),
)


def block_place(block: int) -> int:
    """Where a block begins in a row."""
    return len(HEAD) + block * (len(_BLOCK) + sum(slot.features for slot in SLOTS))
