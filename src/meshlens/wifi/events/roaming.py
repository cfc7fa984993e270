"""Roaming, seen from the events of joining and leaving: the kernel itself tells of it in few drivers only."""

from dataclasses import replace
from typing import Final

from meshlens.wifi.events.record import WifiEvent

__all__ = ["Roaming"]

#: A station that comes back to another access point after a longer time was away.
WITHIN_NS: Final = 10_000_000_000
#: Stations that are remembered; the oldest are forgotten first.
_REMEMBERED: Final = 8192

#: Where it was, and when it left, None if it has not.
_Was = tuple[str, int | None]


class Roaming:
    """Turns a join or a connection into "roam" where it is one.

    A client of one of this machine's access points that joins another one, and this machine's own interface
    that connects to another access point.
    """

    def __init__(self) -> None:
        self._clients: dict[str, _Was] = {}
        self._connections: dict[str, _Was] = {}

    def note(self, event: WifiEvent, *, on_access_point: bool) -> WifiEvent:
        """The event, or what it means in the light of those before it."""
        match event.kind:
            case "join" if on_access_point:
                return self._arrive(self._clients, event.mac, event.interface, event)
            case "leave" if on_access_point:
                self._leave(self._clients, event.mac, event.interface, event.time_ns)
            case "connect":
                return self._arrive(self._connections, event.interface, event.mac, event)
            case "disconnect":
                was, _ = self._connections.get(event.interface, ("", None))
                self._leave(self._connections, event.interface, was, event.time_ns)
        return event

    def _arrive(self, known: dict[str, _Was], who: str, where: str, event: WifiEvent) -> WifiEvent:
        before, left_ns = known.pop(who, ("", None))
        known[who] = where, None
        if len(known) > _REMEMBERED:
            del known[next(iter(known))]
        recently = left_ns is None or event.time_ns - left_ns <= WITHIN_NS
        if before and before != where and recently:
            return replace(event, kind="roam", details={**event.details, "from": before})
        return event

    @staticmethod
    def _leave(known: dict[str, _Was], who: str, where: str, time_ns: int) -> None:
        """Noted unless it is somewhere else already: it may join there before it is missed here."""
        if known.get(who, ("", None))[0] == where:
            known[who] = where, time_ns
