"""The dashboard's files, read once: each with an ETag, so that a browser asks only whether it is the same."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from meshlens.web.answers import takes_gzip

__all__ = ["Asset", "asset_response", "assets"]

_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent; `packed` is the same by gzip."""

    media_type: str
    body: bytes
    packed: bytes
    etag: str


@cache
def assets() -> Mapping[str, Asset]:
    """All files of the dashboard by name."""
    return {
        each.name: _asset(each.name, each.read_bytes())
        for each in files("meshlens.web").joinpath("static").iterdir()
        if each.name.rpartition(".")[2] in _TYPES
    }


def _asset(name: str, body: bytes) -> Asset:
    etag = f'W/"{hashlib.sha256(body).hexdigest()[:16]}"'
    return Asset(_TYPES[name.rpartition(".")[2]], body, gzip.compress(body, mtime=0), etag)


def asset_response(request: Request, asset: Asset) -> Response:
    """The file, packed if the browser takes that; 304 if it has it already."""
    headers = {"ETag": asset.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    body = asset.body
    if takes_gzip(request):
        headers["Content-Encoding"], body = "gzip", asset.packed
    return Response(body, headers=headers, media_type=asset.media_type)
