"""What `meshlens serve` is told: tables and keys of its TOML file. packaging/meshlens.toml explains each."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from meshlens.cli.toml import load_toml
from meshlens.errors import UsageError
from meshlens.filters.lists import FilterDef, FilterList, load_list
from meshlens.outputs.history.schema import LEVELS
from meshlens.probes.count.plan import AttachMode
from meshlens.probes.count.session import DirectionChoice
from meshlens.readings.session import EVERYWHERE, ProbeName

__all__ = ["Settings", "load_settings", "read_token"]

#: Shorter ones are guessed; `openssl rand -hex 16` gives twice as many.
_TOKEN_MIN_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class Stations:
    """The table [stations]."""

    max: int = field(default=4096, metadata={"at_least": 1})
    idle: float = field(default=600.0, metadata={"at_least": 1})


@dataclass(frozen=True, slots=True)
class Flows:
    """The table [flows]."""

    max: int = field(default=16_384, metadata={"at_least": 1})
    idle: float = field(default=15.0, metadata={"at_least": 0.1})
    active: float = field(default=1800.0, metadata={"at_least": 0})
    head: int = field(default=8, metadata={"at_least": 0, "at_most": 64})


@dataclass(frozen=True, slots=True)
class Wifi:
    """The table [wifi]."""

    max: int = field(default=1024, metadata={"at_least": 1})
    hooks: bool = True
    minstrel: bool = True


@dataclass(frozen=True, slots=True)
class Transmitters:
    """The table [transmitters]."""

    max: int = field(default=4096, metadata={"at_least": 1})
    idle: float = field(default=600.0, metadata={"at_least": 1})


@dataclass(frozen=True, slots=True)
class Classify:
    """The table [classify]."""

    model: str
    actions: tuple[str, ...] = ()
    max: int = field(default=4096, metadata={"at_least": 1})
    idle: float = field(default=600.0, metadata={"at_least": 1})


@dataclass(frozen=True, slots=True)
class Counting:
    """The table [count]."""

    direction: DirectionChoice = "both"
    attach: AttachMode = "auto"
    helpers: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """The table [history]."""

    file: str
    fine_hours: int = field(default=LEVELS[0].keep_s // 3600, metadata={"at_least": 1})
    coarse_days: int = field(default=LEVELS[1].keep_s // 86_400, metadata={"at_least": 1})
    max_mib: int = field(default=512, metadata={"at_least": 16})


@dataclass(frozen=True, slots=True)
class Prometheus:
    """The table [outputs.prometheus]."""

    textfile: str


@dataclass(frozen=True, slots=True)
class Respondd:
    """The table [outputs.respondd]."""

    socket: str = ""
    file: str = ""
    compact: bool = False
    mesh: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Influx:
    """The table [outputs.influx]."""

    file: str = ""
    udp: str = ""
    url: str = ""
    token_file: str = ""
    interval: float = field(default=10.0, metadata={"at_least": 0.1})


@dataclass(frozen=True, slots=True)
class JsonLines:
    """The table [outputs.jsonl]."""

    file: str
    kinds: tuple[str, ...] = ("interfaces", "stations", "flows")
    interval: float = field(default=10.0, metadata={"at_least": 0.1})


@dataclass(frozen=True, slots=True)
class Parquet:
    """The table [outputs.parquet]."""

    directory: str
    stations_interval: float = field(default=300.0, metadata={"at_least": 1})


@dataclass(frozen=True, slots=True)
class Outputs:
    """The table [outputs]."""

    prometheus: Prometheus | None = None
    respondd: Respondd | None = None
    influx: Influx | None = None
    jsonl: JsonLines | None = None
    parquet: Parquet | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it. Times are seconds; `source` is the file it came from."""

    interfaces: tuple[str, ...] = ()
    probes: tuple[ProbeName, ...] | None = None
    filters: tuple[str, ...] = ()
    filter: str = ""
    interval: float = field(default=5.0, metadata={"at_least": 0.1, "at_most": 60})
    lenient: bool = False
    statistics: bool = False
    listen: str = "127.0.0.1:9617"
    token_file: str = ""
    names: tuple[str, ...] = ()
    stations: Stations = Stations()
    flows: Flows = Flows()
    count: Counting = Counting()
    wifi: Wifi = Wifi()
    transmitters: Transmitters = Transmitters()
    classify: Classify | None = None
    history: History | None = None
    outputs: Outputs = Outputs()

    def filter_list(self) -> FilterList | None:
        """All lists as one. Raises UsageError for an id that two of them have."""
        merged: dict[str, FilterDef] = {}
        for path in self.filters:
            for each in load_list(path):
                if each.id in merged:
                    first = merged[each.id]
                    raise UsageError(
                        f"{path}:{each.line}: {each.id!r} is in {first.source}:{first.line}, too"
                    )
                merged[each.id] = each
        return FilterList(tuple(merged.values()), ", ".join(self.filters)) if self.filters else None

    def chosen_probes(self) -> tuple[ProbeName, ...]:
        """Those that are named; else those that any interface will do for, "count" if there are filters, and
        "classify" if there is a model.
        """
        if self.probes is not None:
            return self.probes
        usual = tuple(each for each in EVERYWHERE if self.filters or each != "count")
        return (*usual, "classify") if self.classify else usual

    def probe_options(self) -> Mapping[ProbeName, Mapping[str, Any]]:
        """Arguments of the probes' functions."""
        return {
            "stations": {"max_stations": self.stations.max, "idle_s": self.stations.idle},
            "flows": {
                "max_flows": self.flows.max, "idle_s": self.flows.idle, "active_s": self.flows.active,
                "head": self.flows.head,
            },
            "wifi": {
                "max_stations": self.wifi.max, "hooks": self.wifi.hooks, "minstrel": self.wifi.minstrel,
            },
            "transmitters": {
                "max_transmitters": self.transmitters.max, "idle_s": self.transmitters.idle,
            },
            **({"classify": {
                "model": self.classify.model, "actions": self.classify.actions,
                "max_samples": self.classify.max, "idle_s": self.classify.idle,
            }} if self.classify else {}),
            "count": {
                "direction": self.count.direction, "attach": self.count.attach, "helpers": self.count.helpers,
            },
        }  # fmt: skip

    def address(self) -> tuple[str, int]:
        """Host and port to listen on. Raises UsageError."""
        host, _, port = self.listen.rpartition(":")
        if not port.isdecimal() or int(port) > 0xFFFF:
            raise UsageError(
                f"listen takes HOST:PORT, as in 127.0.0.1:9617 or [::1]:9617, not {self.listen!r}"
            )
        return host.strip("[]") or "127.0.0.1", int(port)


def load_settings(
    path: str | os.PathLike[str] | None,
    *,
    interfaces: Sequence[str] = (),
    listen: str | None = None,
    token_file: str | None = None,
) -> Settings:
    """Read the file, if any; what is given besides stands in its place. Raises UsageError."""
    settings = load_toml(path, Settings) if path is not None else Settings()
    given = {"interfaces": tuple(interfaces), "listen": listen, "token_file": token_file}
    settings = replace(settings, **{name: value for name, value in given.items() if value})  # type: ignore[arg-type]
    source = "" if path is None else f"{path}: "
    if "count" in settings.chosen_probes() and not settings.filters:
        raise UsageError(f"{source}the probe 'count' counts by filters: name a list in 'filters'")
    if "classify" in settings.chosen_probes() and not settings.classify:
        raise UsageError(f"{source}the probe 'classify' classifies by a model: name one in [classify]")
    if settings.stations.idle < 2 * settings.interval:
        raise UsageError(f"{source}stations.idle has to be at least twice the interval, or none is ever told")
    if settings.history and settings.interval > LEVELS[0].step_s:
        raise UsageError(f"{source}a history takes an interval of at most {LEVELS[0].step_s} seconds")
    if settings.outputs.influx and not any(
        (settings.outputs.influx.file, settings.outputs.influx.udp, settings.outputs.influx.url)
    ):
        raise UsageError(f"{source}outputs.influx needs a 'file', 'udp' or 'url'")
    if settings.outputs.respondd and not (settings.outputs.respondd.socket or settings.outputs.respondd.file):
        raise UsageError(f"{source}outputs.respondd needs a 'socket' or a 'file'")
    settings.address()
    return settings


def read_token(path: str) -> str:
    """The token in a file, without blanks around it. Raises UsageError."""
    try:
        token = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if len(token) < _TOKEN_MIN_CHARACTERS or not token.isprintable() or not token.isascii():
        raise UsageError(
            f"{path}: a token has at least {_TOKEN_MIN_CHARACTERS} characters of ASCII, "
            "as 'openssl rand -hex 16' makes one"
        )
    return token
