"""Whom this host has to tell things twice: TCP retransmissions by IPv4 peer. Run as root; Ctrl-C ends it.

python examples/retransmissions.py [fentry|kprobe]
"""

import socket
import sys
import time

from meshlens.ebpf import R0, R1, R6, Helper, MapSpec, MapType
from meshlens.ebpf.tracing import Hook, KernelTypes, Trace, attach_trace

hook: Hook = "kprobe" if sys.argv[1:] == ["kprobe"] else "fentry"

a = Trace(hook, KernelTypes().function("tcp_retransmit_skb"))
connection = a.argument("sk")["__sk_common"]  # struct sock_common, include/net/sock.h
peer, one = a.slot(4), a.slot(8)
a.read(R6, connection.skc_daddr)
a.put(peer, R6)
with a.lookup("retransmissions", peer):
    a.mov(R1, 1)
    a.atomic_add(R0, 0, R1, 8)
    a.ret(0)
a.put(one, 1)
a.call(Helper.map_update_elem, "retransmissions", peer, one, 0)
a.ret(0)

peers = MapSpec("retransmissions", MapType.HASH, key_size=4, value_size=8, max_entries=1024)
with a.program("retransmissions", maps={peers.name: peers}).load() as program, attach_trace(program) as link:
    print(link.hook, flush=True)
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        for address, count in program.maps[peers.name].items():
            print(socket.inet_ntoa(address), int.from_bytes(count, sys.byteorder))
