"""The namespaces other tests stand on: joined, silent, and gone afterwards."""

import socket
import subprocess
import time

import pytest

from tests.kernel.conftest import NetNsPair, make_netns_pair

pytestmark = pytest.mark.root


def test_a_frame_sent_near_arrives_far_and_nothing_else_does(netns_pair: NetNsPair) -> None:
    listener = netns_pair.far.run(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
    with listener:
        listener.settimeout(2)
        frame = b"\xff" * 6 + b"\2\0\0\0\0\1" + b"\x88\xb5" + bytes(46)
        netns_pair.near.send(frame)
        assert listener.recv(2000) == frame
        time.sleep(0.2)
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.recv(2000)


def test_nothing_is_left_when_the_body_fails() -> None:
    with pytest.raises(ZeroDivisionError), make_netns_pair() as pair:
        raise ZeroDivisionError
    listed = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    assert pair.near.name not in listed
    assert pair.far.name not in listed
