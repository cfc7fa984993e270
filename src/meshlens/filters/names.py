"""Names in filters never make libpcap ask DNS.

libpcap hands every unknown word after `host` to the system's resolver, which may wait for many seconds on a
node without uplink, at boot, or because of a typing mistake (`ip host 10.0.0.1 and arpp`). A filter that
counts for months should not hang on what DNS said when it was compiled either. So a name has to stand in
/etc/hosts (in /etc/networks after `net`). Ports, protocols and Ethernet names only ever come from files.
"""

import re
from itertools import takewhile
from pathlib import Path

from meshlens.filters.errors import FilterError
from meshlens.filters.expression import Primitive, parse, primitives
from meshlens.filters.tokens import KEYWORDS, QUALIFIERS

__all__ = ["refuse_unknown_names"]

HOSTS = Path("/etc/hosts")
NETWORKS = Path("/etc/networks")

_WORD = re.compile(r"(?<![-\w.:$])\\?[-\w.]*[A-Za-z][-\w.]*(?![\w:])")
_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]+")

# Qualifiers whose identifiers libpcap does not take for IP hosts or networks.
_ELSEWHERE = {
    *("port", "portrange", "proto", "protochain", "gateway"),
    *("link", "ether", "ppp", "slip", "fddi", "tr", "wlan", "decnet"),
}


def refuse_unknown_names(expression: str) -> None:
    """Raise FilterError for a host or network name that no file of this machine knows.

    An expression that we cannot parse is left to libpcap, which refuses it too.
    """
    if all(word in KEYWORDS for word in _WORD.findall(expression)):
        return
    try:
        tree = parse(expression)
    except FilterError:
        return
    for primitive in primitives(tree):
        name = _looked_up(primitive)
        file = NETWORKS if "net" in primitive.words else HOSTS
        if name and name not in _names_in(file):
            raise FilterError(
                f"{name!r} in `{primitive.text}` is not in {file} (DNS is never asked); write its address"
            )


def _looked_up(primitive: Primitive) -> str:
    """The name that libpcap would give to the resolver, or ""."""
    qualifiers = set(takewhile(lambda word: word in QUALIFIERS | {"and", "or", "&&", "||"}, primitive.words))
    name = primitive.words[-1].removeprefix("\\")
    is_host = qualifiers & {"host", "net", "src", "dst"} and not qualifiers & _ELSEWHERE
    return name if is_host and _WORD.fullmatch(name) and not _NUMBER.fullmatch(name) else ""


def _names_in(file: Path) -> set[str]:
    """All words of a hosts(5) or networks(5) file; addresses among them do no harm."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return set()
    return {word for line in lines for word in line.partition("#")[0].split()}
