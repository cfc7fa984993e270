"""Interfaces come, go, return and change their names: what is attached to them follows.

A probe says what it does to one interface; this decides on which, and when.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Final, Generic, TypeVar

from meshlens.errors import MeshlensError, PermissionDenied, UsageError
from meshlens.probes.interfaces import Interface, link_type_of, list_interfaces, matches

__all__ = ["Follower"]

_GLOB: Final = frozenset("*?[")

log = logging.getLogger(__name__)

Held = TypeVar("Held")


class Follower(ABC, Generic[Held]):
    """Holds something on each of the wanted interfaces, by the interface's index.

    `names` are names and globs of interfaces, which are wanted up or not, so that their first frame is seen;
    none: all that are up. `doing` is what the log says that is not done where it cannot be.
    """

    doing = "counted"

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.held: dict[int, tuple[Interface, Held]] = {}
        self._refused: dict[int, Interface] = {}

    @abstractmethod
    def begin(self, interface: Interface) -> Held:
        """Attach to an interface. Raises MeshlensError, and leaves nothing behind then."""

    @abstractmethod
    def end(self, interface: Interface, held: Held) -> None:
        """Let go; the interface may be gone already."""

    def changed(self, held: Held, was: Interface, now: Interface) -> None:
        """Take note of another name or address."""

    def readable(self, interface: Interface) -> bool:
        """Whether the frames of an interface are any that this probe reads."""
        return link_type_of(interface) is not None

    def start(self) -> None:
        """Begin with all that is wanted and there.

        Raises UsageError for a name that is not there and for what cannot be right on any interface, and the
        error of an interface that was named, or of the first one if there is no other. Others are only
        logged.
        """
        interfaces = list_interfaces()
        present = {each.name for each in interfaces}
        for name in self.names:
            if not _GLOB & set(name) and name not in present:
                raise UsageError(f"no interface {name!r}; there are {', '.join(sorted(present))}")
        errors = []
        for interface in filter(self._wanted, interfaces):
            try:
                self._begin(interface)
            except (PermissionDenied, UsageError):
                raise
            except MeshlensError as error:
                if interface.name in self.names:
                    raise
                errors.append(error)
                self._refuse(interface, error)
        if errors and not self.held:
            raise errors[0]

    def follow(self) -> None:
        """Begin with what came, end what went, tell of what changed."""
        interfaces = {each.index: each for each in list_interfaces()}
        for index, (was, held) in list(self.held.items()):
            now = interfaces.get(index)
            if now is None or not self._named(now):
                self._end(index)
                continue
            self.held[index] = now, held
            if now != was:
                self.changed(held, was, now)
        self._refused = {each: was for each, was in self._refused.items() if interfaces.get(each) == was}
        for interface in filter(self._wanted, interfaces.values()):
            if interface.index not in self.held and interface.index not in self._refused:
                try:
                    self._begin(interface)
                except MeshlensError as error:
                    self._refuse(interface, error)

    def stop(self) -> None:
        """End all."""
        for index in list(self.held):
            self._end(index)

    def __iter__(self) -> Iterator[tuple[Interface, Held]]:
        return iter(list(self.held.values()))

    def _named(self, interface: Interface) -> bool:
        return not self.names or matches(interface.name, self.names)

    def _wanted(self, interface: Interface) -> bool:
        if not self.readable(interface):
            return interface.name in self.names  # and refused with the reason
        return self._named(interface) and (interface.up or bool(self.names))

    def _begin(self, interface: Interface) -> None:
        self.held[interface.index] = interface, self.begin(interface)

    def _end(self, index: int) -> None:
        self.end(*self.held.pop(index))

    def _refuse(self, interface: Interface, error: MeshlensError) -> None:
        """Not to be tried again until the interface changes. One that is gone again needs no word."""
        self._refused[interface.index] = interface
        if interface in list_interfaces():
            log.warning("%s is not %s: %s", interface.name, self.doing, error)
