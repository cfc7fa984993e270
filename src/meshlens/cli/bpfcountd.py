"""`meshlens bpfcountd`: bpfcountd's flags, socket and numbers; the kernel does the counting.

It counts on a packet socket, because there packets and bytes are by construction those that libpcap reports.
"""

import logging
import struct
from collections.abc import Iterable
from dataclasses import replace
from typing import Final
from weakref import WeakSet

import click

from meshlens.cli.command import Command, option
from meshlens.cli.options import complete_interface
from meshlens.ebpf.capabilities import ATTACHING, drop_capabilities
from meshlens.ebpf.link import SocketLink
from meshlens.filters.lists import load_list
from meshlens.outputs.bpfcountd import serve_bpfcountd
from meshlens.probes.attach import Attachment
from meshlens.probes.count.session import CountSession, DirectionChoice
from meshlens.probes.interfaces import list_interfaces

__all__ = ["command"]

EXAMPLES = """
In bpfcountd's init script or unit, replace the one word 'bpfcountd' by 'meshlens bpfcountd':
  meshlens bpfcountd -i bat0 -f /etc/bpfcountd/bat0.filters -u /run/bpfcountd.bat0.sock
  nc -U /run/bpfcountd.bat0.sock
"""

#: linux/if_packet.h, linux/if_arp.h
_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PACKET_MR_PROMISC = 263, 1, 1
_ARPHRD_LOOPBACK: Final = 772

#: Following the interface: to load a program, attach it, let it read packets; to remove the socket's file.
_KEPT_CAPABILITIES: Final = ATTACHING | {"net_raw", "dac_override"}

_FOLLOW_INTERVAL_S: Final = 1.0


@click.command("bpfcountd", cls=Command, examples=EXAMPLES)
@option("-i", "interface", metavar="INTERFACE", required=True, shell_complete=complete_interface,
        help="Count on this interface, both directions together, in promiscuous mode.")  # fmt: skip
@option("-f", "list_path", metavar="FILE", required=True, type=click.Path(),
        help="The filter list: a line 'id;tcpdump expression' for each filter.")  # fmt: skip
@option("-F", "prefilter", metavar="EXPR", default="", help="Count only frames that match this.")
@option("-b", "buffer_bytes", metavar="BYTES", type=int, expose_value=False,
        help="Taken and ignored: nothing is captured, so there is no buffer.")  # fmt: skip
@option("-u", "socket_path", metavar="PATH", default="test.sock", type=click.Path(),
        help="The unix socket to answer on. Default: test.sock in the current directory.")  # fmt: skip
def command(interface: str, list_path: str, prefilter: str, socket_path: str) -> None:
    """Count as bpfcountd does: its flags, its filter lists, its socket, the numbers that libpcap gives.

    Runs in the foreground until SIGINT or SIGTERM. 'meshlens count' can do more.
    """
    logging.basicConfig(format="meshlens: %(message)s")
    filters = replace(load_list(list_path), prefilter=prefilter)
    # What leaves the loopback comes in again; libpcap shows it once.
    direction: DirectionChoice = "in" if _is_loopback(interface) else "both"
    with CountSession(filters, [interface], direction=direction, attach="socket", helpers=True) as session:
        drop_capabilities(_KEPT_CAPABILITIES)
        promiscuous = WeakSet[SocketLink]()
        with serve_bpfcountd(socket_path, session.snapshot):
            try:
                while True:
                    _make_promiscuous(session.attachments, promiscuous)
                    session.wait(_FOLLOW_INTERVAL_S)
            except KeyboardInterrupt:  # how it is meant to end: a success
                pass


def _is_loopback(name: str) -> bool:
    return any(each.name == name and each.hardware == _ARPHRD_LOOPBACK for each in list_interfaces())


def _make_promiscuous(attachments: Iterable[Attachment], done: "WeakSet[SocketLink]") -> None:
    """Have the interface take in frames for others as well, for as long as the sockets are open."""
    for each in attachments:
        if isinstance(each.link, SocketLink) and each.link not in done:
            done.add(each.link)
            membership = struct.pack("=iHH8x", each.ifindex, _PACKET_MR_PROMISC, 0)
            each.link.socket.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
