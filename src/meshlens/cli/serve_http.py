"""The HTTP side of `meshlens serve`, in a thread of its own: uvicorn runs what meshlens.web makes."""

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Final

from meshlens.cli.serve_settings import Settings, read_token
from meshlens.errors import MeshlensError, UsageError
from meshlens.outputs.hub import Hub

__all__ = ["listen", "serving"]

_END_S: Final = 5
_BACKLOG: Final = 64


def listen(settings: Settings) -> tuple[socket.socket, str | None]:
    """The socket that answers, and the token that is asked for. Raises UsageError, MeshlensError."""
    host, port = settings.address()
    token = read_token(settings.token_file) if settings.token_file else None
    if token is None and not _is_local(host):
        raise UsageError(f"{host} can be reached by others: give a --token-file, or listen on 127.0.0.1")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=_BACKLOG), token
    except OSError as error:
        raise MeshlensError(f"cannot listen on {host} port {port}: {error.strerror}") from error


@contextmanager
def serving(hub: Hub, listener: socket.socket, token: str | None, settings: Settings) -> Iterator[Thread]:
    """Answer within the `with` block; yields the thread, which lives as long as it answers."""
    try:
        import uvicorn

        from meshlens.web.app import create_app
    except ImportError as error:
        raise UsageError(
            f"'meshlens serve' needs {error.name}, which is not installed: pip install 'meshlens[web]'"
        ) from error
    config = uvicorn.Config(
        create_app(hub, token=token, hosts=settings.names),
        access_log=False,
        http="h11",
        lifespan="on",
        log_config=None,
        loop="asyncio",
        server_header=False,
        timeout_graceful_shutdown=_END_S - 1,
        ws="none",
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, args=([listener],), daemon=True, name="meshlens-http")
    thread.start()
    try:
        yield thread
    finally:
        server.should_exit = True
        thread.join(_END_S)
        listener.close()


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
