"""A TCP stream between two namespaces, for whoever counts it."""

import socket
import threading
import time

from tests.kernel.conftest import NetNsPair

__all__ = ["transfer"]


def transfer(pair: NetNsPair, size: int) -> None:
    """Send `size` bytes from the near end to port 5000 of the far one, which has the address 10.9.0.2."""
    listening = pair.far.run(lambda: socket.create_server(("10.9.0.2", 5000)))

    def receive() -> None:
        connection, _ = listening.accept()
        with connection:
            while connection.recv(1 << 20):
                pass

    receiver = threading.Thread(target=receive)
    receiver.start()
    with pair.near.run(lambda: socket.create_connection(("10.9.0.2", 5000))) as connection:
        connection.sendall(bytes(size))
    receiver.join(30)
    listening.close()
    time.sleep(0.1)
