"""Who may ask, and what an answer may do: host, method, token, and the headers of every response.

A name server under somebody else's control can make a browser send its requests here (DNS rebinding). Such a
request carries that name as its host, so an address is always welcome and a name only if it is ours.
"""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["COOKIE", "HEADERS", "Guard"]

COOKIE: Final = "meshlens_token"
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the first address of a session has the token in it
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
#: What tells nothing about the network: the page's own files, and whether the daemon lives.
_OPEN: Final = re.compile(r"/static/.*|/healthz")
_METHODS: Final = ("GET", "HEAD")

# A cookie that is SameSite=Strict is not sent along a redirect that began on another site, but with what the
# page itself asks for.
_WELCOME: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>meshlens</title>
<meta http-equiv="refresh" content="0;url=./"><p><a href="./">Continue</a></p></html>
"""
_ASK: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>meshlens: token needed</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="static/style.css">
<body class="door"><main><h1>meshlens</h1><p>{}</p>
<form method="get" action="./"><label>Token <input name="token" type="password" required autofocus
autocomplete="current-password"></label> <button>Open</button></form></main></body></html>
"""


class Guard:
    """ASGI middleware; `hosts` are the names that may be asked for besides "localhost" and any address."""

    def __init__(self, app: ASGIApp, *, token: str | None = None, hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._token = token.encode() if token else None
        self._hosts = {"localhost", *(host.lower().rstrip(".") for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on; either way the answer gets the headers."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":  # there are no WebSockets here
            headers = Headers(scope=scope)
            answer = self._refusal(scope, headers) or self._app
            await answer(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            return _problem(421, f"{host!r} is not a name of this server: ask by address, or allow the name")
        if scope["method"] not in _METHODS:
            problem = f"{scope['method']} is not possible: everything here is read-only"
            return _problem(405, problem, {"Allow": ", ".join(_METHODS)})
        if self._token is None or _OPEN.fullmatch(scope["path"]) or self._knows(headers):
            return None
        return self._door(scope)

    def _is_ours(self, host: str) -> bool:
        match = re.fullmatch(r"(?:\[(?P<v6>[^\]]+)\]|(?P<name>[^:\[\]]+))(?::\d+)?", host)
        if match is None:
            return False
        name = (match["v6"] or match["name"]).lower().rstrip(".")
        return name in self._hosts or _is_address(name)

    def _knows(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return _same(given.strip().encode("latin-1"), self._token)
        cookies = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
        return any(
            name == COOKIE and _same(value.encode("latin-1"), self._pass()) for name, _, value in cookies
        )

    def _door(self, scope: Scope) -> Response:
        """What one gets who has shown no token: at the front door a form, or the cookie for a right token."""
        if scope["path"] != "/":
            return _problem(401, "a token is needed: Authorization: Bearer …", {"WWW-Authenticate": "Bearer"})
        given = parse_qs(scope["query_string"]).get(b"token", [b""])[0]
        if not _same(given, self._token):
            words = "That was not the token." if given else "This page asks for a token."
            return HTMLResponse(_ASK.format(words), 401, {"WWW-Authenticate": "Bearer"})
        welcome = HTMLResponse(_WELCOME)
        secure = scope["scheme"] == "https"
        welcome.set_cookie(COOKIE, self._pass().decode(), httponly=True, samesite="strict", secure=secure)
        return welcome

    def _pass(self) -> bytes:
        """The cookie's value: opens this server as the token does, but is not the token."""
        return hashlib.sha256(b"meshlens cookie\0" + (self._token or b"")).hexdigest().encode()


def _same(given: bytes, wanted: bytes | None) -> bool:
    """In a time that does not tell how much was right."""
    return wanted is not None and hmac.compare_digest(given, wanted)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sending


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _problem(status: int, error: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": error}, status, headers)
