"""A small HTTP server: GET of one page, requests bounded in bytes and time (RFC 9112).

The standard library's http.server bounds neither the time of a whole request nor the number of its threads.
"""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from meshlens.errors import MeshlensError
from meshlens.outputs.serve import CLIENT_TIMEOUT_S, serving

__all__ = ["REQUEST_MAX_BYTES", "serve_http"]

REQUEST_MAX_BYTES = 8192


@contextmanager
def serve_http(
    path: str, content_type: str, page: Callable[[], bytes], *, host: str, port: int
) -> Iterator[tuple[str, int]]:
    """Answer GET `path` with `page()` inside the `with` block; yields the address and port in use.

    `page` is called in a client's thread. A request has at most `REQUEST_MAX_BYTES` and `CLIENT_TIMEOUT_S`.
    Port 0 takes a free one. Raises MeshlensError if the address is not there or is taken.
    """

    def answer(client: socket.socket) -> None:
        client.sendall(_respond(_receive_head(client), path, content_type, page))

    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise MeshlensError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    address = listener.getsockname()
    with serving(listener, answer):
        yield address[0], address[1]


def _receive_head(client: socket.socket) -> bytes:
    """Receive up to the blank line that ends a request's headers, or what came within the limits."""
    head = b""
    deadline = monotonic() + CLIENT_TIMEOUT_S
    while b"\r\n\r\n" not in head and len(head) < REQUEST_MAX_BYTES:
        client.settimeout(max(deadline - monotonic(), 0.001))
        received = client.recv(REQUEST_MAX_BYTES - len(head))
        if not received:
            break
        head += received
    client.settimeout(CLIENT_TIMEOUT_S)
    return head


def _respond(head: bytes, path: str, content_type: str, page: Callable[[], bytes]) -> bytes:
    """Return the response to a request's first line (RFC 9112)."""
    if len(head) >= REQUEST_MAX_BYTES:
        return _response("431 Request Header Fields Too Large")
    request = re.match(rb"([A-Z]+) ([^ ?]+)[^ ]* HTTP/1\.[0-9]\r\n", head)
    if request is None or b"\r\n\r\n" not in head:
        return _response("400 Bad Request")
    method, wanted = request.groups()
    if wanted != path.encode():
        return _response("404 Not Found")
    if method not in (b"GET", b"HEAD"):
        return _response("405 Method Not Allowed\r\nAllow: GET, HEAD")
    response = _response(f"200 OK\r\nContent-Type: {content_type}", page())
    return response if method == b"GET" else response[: response.index(b"\r\n\r\n") + 4]


def _response(status: str, body: bytes = b"") -> bytes:
    """`status` may bring header lines along."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
