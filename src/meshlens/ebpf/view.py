"""Expressions on kernel memory that read like the C: `status.info.flags`, `rates[2].idx`.

A view says where something is and of what type, by BTF; nothing is read until a program does
(`Trace.read()`). All names are fields, so that what acts on views are functions here. A field that Python
cannot spell, or that begins with `_`, is `view["__state"]`. A field that the kernel does not have gives a
view as well: it says what is missing when it is used, and `first_of()` and `exists()` ask before.
"""

from typing import Final, NamedTuple

from meshlens.ebpf.btf import Btf, Kind
from meshlens.ebpf.insn import Reg

__all__ = ["Place", "View", "behind", "cast", "container_of", "exists", "first_of", "place_of", "size_of"]

_COMPOUND: Final = (Kind.STRUCT, Kind.UNION)


class Place(NamedTuple):
    """Where a view is: behind `base` (None: the context) by `trail`, the offsets between loads of pointers.

    So many of these loads as `direct` says need no helper: the verifier knows what they load from. `trusted`
    tells whether it knows that of a pointer that stands here. Of a bit-field, `bit` is where it begins in its
    first byte, and `bits` its width. `missing` says why there is no such place.
    """

    btf: Btf
    base: Reg | None
    trail: tuple[int, ...]
    type: int
    text: str
    direct: int = 0
    trusted: bool = False
    bit: int = 0
    bits: int = 0
    missing: str = ""


class View:
    """A place in kernel memory; attributes are its fields, through pointers too, and `[n]` its elements."""

    __slots__ = ("_place",)

    def __init__(self, place: Place) -> None:
        self._place = place

    def __getattr__(self, field: str) -> "View":
        if field.startswith("__"):  # Python's own protocols ask for such names
            raise AttributeError(field)
        return View(_field(self._place, field))

    def __getitem__(self, key: int | str) -> "View":
        return View(_field(self._place, key) if isinstance(key, str) else _element(self._place, key))

    def __repr__(self) -> str:
        place = self._place
        return f"<{place.text}: {place.missing or place.btf.describe(place.type)}>"


def place_of(view: View) -> Place:
    """Where the view is."""
    return view._place  # noqa: SLF001  (whose only attributes are the kernel's fields)


def exists(view: View) -> bool:
    """Whether the kernel has all the fields that the view names."""
    return not place_of(view).missing


def first_of(*views: View) -> View:
    """The first of the views that exists, for fields that moved between versions."""
    for view in views:
        if exists(view):
            return view
    return View(place_of(views[0])._replace(missing="; ".join(place_of(view).missing for view in views)))


def size_of(view: View) -> int:
    """Bytes, by the type; 0 if there is no such field."""
    place = place_of(view)
    return 0 if place.missing else place.btf.size(place.type)


def cast(view: View, type: str, btf: Btf | None = None) -> View:
    """The same memory as `type`, like "struct ethhdr"; of a pointer, that which it points to.

    `btf` has the type, if it is another module's than that of the view.
    """
    place = place_of(view)
    if place.missing:
        return view
    keyword, _, name = type.rpartition(" ")
    kinds = {"struct": (Kind.STRUCT,), "union": (Kind.UNION,), "": (Kind.TYPEDEF, Kind.INT)}[keyword]
    found = (btf or place.btf).find(name, *kinds)
    text = f"({type}){place.text}"
    if found is None:
        return View(place._replace(text=text, missing=f"{text}: this kernel has no {type}"))
    if _is_pointer(place):
        place = behind(place._replace(trusted=False))
    return View(place._replace(btf=btf or place.btf, type=found, text=text))


def container_of(view: View, type: str, field: str, btf: Btf | None = None) -> View:
    """The `type`, like "struct sta_info", whose `field` a pointer points to; `btf` as in cast()."""
    outer = cast(view, type, btf)
    place = place_of(outer)
    member = _field(place, field)
    if member.missing:
        return View(member)
    return View(_moved(place, place.trail[-1] - member.trail[-1]))


def _is_pointer(place: Place) -> bool:
    return place.btf.kind(place.btf.plain(place.type)) == Kind.PTR


def behind(place: Place) -> Place:
    """What a pointer points to, itself if it is none.

    Only a pointer to a structure is one that the verifier can follow.
    """
    if place.missing or not _is_pointer(place):
        return place
    btf = place.btf
    target = btf.target(btf.plain(place.type))
    plain = btf.plain(target)
    trusted = place.trusted and btf.kind(plain) in _COMPOUND
    if btf.kind(plain) == Kind.FWD:  # the kernel knows the name alone, a module the type
        target = btf.find(btf.name(plain), *_COMPOUND) or target
    trail = (*place.trail, 0)
    return place._replace(trail=trail, type=target, direct=place.direct + trusted, trusted=trusted)


def _field(place: Place, name: str) -> Place:
    if place.missing:
        return place
    text = f"{place.text}.{name}"
    place = behind(place)
    btf = place.btf
    compound = btf.plain(place.type)
    if btf.kind(compound) not in _COMPOUND:
        return place._replace(text=text, missing=f"{text}: {btf.describe(place.type)} has no fields")
    member = btf.member(compound, name)
    if member is None:
        return place._replace(text=text, missing=f"{text}: {btf.describe(place.type)} has no field {name!r}")
    first_byte, bit = divmod(member.bit_offset, 8)
    return _moved(place, first_byte)._replace(type=member.type, bit=bit, bits=member.bits, text=text)


def _element(place: Place, number: int) -> Place:
    if place.missing:
        return place
    text, btf = f"{place.text}[{number}]", place.btf
    if _is_pointer(place):
        place = behind(place)
        element = place.type
    elif btf.kind(btf.plain(place.type)) == Kind.ARRAY:
        element, count = btf.array(btf.plain(place.type))
        if count and not 0 <= number < count:
            return place._replace(text=text, missing=f"{text}: there are {count} elements")
    else:
        return place._replace(text=text, missing=f"{text}: {btf.describe(place.type)} has no elements")
    return _moved(place, number * btf.size(element))._replace(type=element, text=text)


def _moved(place: Place, by: int) -> Place:
    return place._replace(trail=(*place.trail[:-1], place.trail[-1] + by))
