"""What is done with the packets of a class: their skb gets a mark or a priority, for tc, nft and sockets."""

import re
import struct
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from meshlens.classify.kernel.entry import ACTIONS, place_of
from meshlens.classify.model import Model
from meshlens.ebpf import Map
from meshlens.errors import UsageError

__all__ = ["UNKNOWN_NAME", "Action", "parse_actions", "write_actions"]

#: How unknown is called where a class's name is asked for.
UNKNOWN_NAME: Final = "unknown"

_ACTION: Final = re.compile(r"(?P<name>.+)=(?P<what>mark|priority):(?P<number>0x[0-9a-fA-F]+|[0-9]+)")
_ENTRY: Final = struct.Struct("=II")


class Action(NamedTuple):
    """A mark and a priority for skbs; 0: leave what is there."""

    mark: int = 0
    priority: int = 0


def parse_actions(texts: Sequence[str], model: Model) -> dict[int | None, Action]:
    """Actions by class, of texts like "Camera=mark:7", "unknown=priority:1".

    Raises UsageError for a class that the model does not have, and for anything that is no action.
    """
    actions: dict[int | None, Action] = {}
    for text in texts:
        parts = _ACTION.fullmatch(text)
        if not parts:
            raise UsageError(f"{text!r} is no action: say CLASS=mark:NUMBER or CLASS=priority:NUMBER")
        number = int(parts["number"], 0)
        if not 0 < number < 1 << 32:
            raise UsageError(f"{text!r}: a {parts['what']} is a number from 1 to {0xFFFFFFFF}")
        place = _class(parts["name"], model)
        actions[place] = actions.get(place, Action())._replace(**{parts["what"]: number})
    return actions


def _class(name: str, model: Model) -> int | None:
    if name in model.classes:
        return model.classes.index(name)
    if name == UNKNOWN_NAME:
        return None
    some = ", ".join(model.classes[:5]) + (", …" if len(model.classes) > 5 else "")
    raise UsageError(f"the model has no class {name!r}; there are {some}, and {UNKNOWN_NAME}")


def write_actions(maps: Mapping[str, Map], actions: Mapping[int | None, Action]) -> None:
    """Let packets have these from now on."""
    with maps[ACTIONS].mmap() as view:
        for class_index, action in actions.items():
            _ENTRY.pack_into(view, place_of(class_index) * _ENTRY.size, *action)
