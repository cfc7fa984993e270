"""Answers each client of a listening socket in its own thread, so that a slow one holds up nobody."""

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Event, Thread

from meshlens.errors import MeshlensError

__all__ = ["CLIENTS_AT_ONCE", "CLIENT_TIMEOUT_S", "serving"]

CLIENTS_AT_ONCE = 32
"""Further clients wait in the socket's backlog until a place is free."""

CLIENT_TIMEOUT_S = 5.0
"""`answer` holds to this by the client's timeout: it is what a silent client can cost."""

log = logging.getLogger(__name__)


@contextmanager
def serving(listener: socket.socket, answer: Callable[[socket.socket], None]) -> Iterator[None]:
    """Inside the `with` block, call `answer(client)` for every connection, then close it.

    The client socket comes with a timeout of `CLIENT_TIMEOUT_S`, which for `sendall` bounds the whole answer.
    A client that goes away or is too slow loses its answer; other errors are logged. Closes `listener`.
    """
    places = BoundedSemaphore(CLIENTS_AT_ONCE)
    stopping = Event()

    def serve(client: socket.socket) -> None:
        with client:
            try:
                client.settimeout(CLIENT_TIMEOUT_S)
                answer(client)
            except OSError as error:
                log.debug("client gave up: %s", error)
            except MeshlensError as error:
                log.error("no answer to a client: %s", error)  # noqa: TRY400 -- one line says it all
            finally:
                places.release()

    def accept() -> None:
        while not stopping.is_set():
            places.acquire()
            try:
                client, _ = listener.accept()
            except OSError as error:  # closed by us, or out of file descriptors for now
                places.release()
                if not stopping.wait(0.1):
                    log.warning("cannot accept a client: %s", error)
            else:
                Thread(target=serve, args=(client,), daemon=True, name="meshlens-client").start()

    acceptor = Thread(target=accept, daemon=True, name="meshlens-listener")
    acceptor.start()
    try:
        yield
    finally:
        stopping.set()
        listener.shutdown(socket.SHUT_RDWR)  # wakes accept(2), which close(2) would not
        listener.close()
        acceptor.join(CLIENT_TIMEOUT_S)
