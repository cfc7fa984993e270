"""Your own probe: frames by TTL (IPv4) or hop limit (IPv6), counted in the kernel.

As root: ttl_histogram.py INTERFACE SECONDS
"""

import socket
import sys
import time

from meshlens import ebpf
from meshlens.ebpf import R0, R1, R2, R6, Asm, Helper, Skb

a = Asm()
ttl = a.slot(1)  # one byte of stack
a.mov(R6, R1)  # the frame; R1 to R5 do not survive calls
for name, ethertype, offset in (("IPv4", 0x0800, 14 + 8), ("IPv6", 0x86DD, 14 + 7)):
    a.block(name)
    a.field(R0, R6, Skb.protocol)
    with a.if_(R0, "==", socket.htons(ethertype)):
        a.call(Helper.skb_load_bytes, R6, offset, ttl, 1)
        with a.if_(R0, "==", 0):  # the frame is that long
            a.get(R1, ttl)
            a.alu("*=", R1, 8)
            a.map_value(R2, "frames")
            a.alu("+=", R2, R1)
            a.mov(R1, 1)
            a.atomic_add(R2, 0, R1, 8)
a.ret(-1)  # no verdict: what comes after us decides

frames = ebpf.MapSpec("frames", ebpf.MapType.ARRAY, 4, 256 * 8, 1, ebpf.BPF_F_MMAPABLE)
program = ebpf.ProgramSpec("ttl", ebpf.ProgramType.SCHED_CLS, a, maps={"frames": frames}).load()
with ebpf.attach_tc(program, socket.if_nametoindex(sys.argv[1]), "ingress"):
    print("counting", flush=True)
    time.sleep(float(sys.argv[2]))
for value, count in enumerate(program.maps["frames"].mmap().cast("Q")):
    if count:
        print(f"TTL {value:3}: {count} frames")
