"""Captures at the exit of an XDP program that decides by a byte of the frame, and changes another one."""

import socket
import time

from meshlens.ebpf import R0, R1, R2, R3, Asm, Program, ProgramSpec, ProgramType, Xdp, attach_xdp
from meshlens.errors import MeshlensError
from tests.vm.guest.links import Capturing, alone, answer, send, shell, veth

VERDICT_AT, CHANGED_AT = 14, 17
FRAMES = [
    bytes.fromhex("020000000002 020000000001 88b5") + bytes((verdict, 0, number, 0)).ljust(46, b"-")
    for number, verdict in enumerate([2, 1, 3, 0, 2, 1, 9])
]  # fmt: skip


def main() -> None:
    alone()
    veth("in0", "in1")
    veth("other0", "other1")
    with judge("judge", traceable=True) as program, judge("silent", traceable=False) as untold:
        index = socket.if_nametoindex
        with attach_xdp(program, index("in0"), "native"), attach_xdp(program, index("other0"), "native"):
            captured = capture("", FRAMES)
            filtered = capture("ether[16] >= 4 and ether[17] = 0x77 and greater 60", FRAMES)
            cut = capture("", [FRAMES[0] + bytes(1000)], snapshot_bytes=100)
            inside = capture(
                "batadv 15 bcast and arp",
                [batadv(b"\x08\x06"), batadv(b"\x08\x00"), batadv(b"\x08\x06")[:40]],
            )
        refusals = {"none": refusal()}
        with attach_xdp(untold, index("in0"), "native"):
            refusals["untold"] = refusal()
    answer({
        "sent": [frame.hex() for frame in FRAMES],
        "captured": captured, "filtered": filtered, "cut": cut, "inside": inside, "refusals": refusals,
        "left": shell("bpftool prog show").count("meshlens_exit"),
    })  # fmt: skip


def judge(name: str, *, traceable: bool) -> Program:
    """Returns the byte at VERDICT_AT, and changes another one."""
    a = Asm()
    a.field(R2, R1, Xdp.data)
    a.field(R3, R1, Xdp.data_end)
    a.mov(R0, R2)
    a.alu("+=", R0, CHANGED_AT + 1)
    with a.if_(R0, "<=", R3):
        a.store(R2, CHANGED_AT, 0x77, 1)
        a.load(R0, R2, VERDICT_AT, 1)
        a.exit()
    a.ret(2)
    return ProgramSpec(name, ProgramType.XDP, a, traceable=traceable).load()


def batadv(ethertype: bytes) -> bytes:
    inner = b"\xff" * 6 + bytes(6) + ethertype + bytes(46)
    return b"\xff" * 6 + bytes.fromhex("020000000001 4305") + b"\x01\x0f" + bytes(12) + inner


def capture(expression: str, frames: list[bytes], snapshot_bytes: int = 1000) -> dict[str, object]:
    with Capturing("in0", expression, ["exit"], snapshot_bytes) as capturing:
        send("other1", *frames)  # the same program, another interface
        send("in1", *frames)
        time.sleep(0.3)
    return capturing.result


def refusal() -> str:
    try:
        capture("", [])
    except MeshlensError as error:
        return f"{type(error).__name__}: {error}"
    return "none"


if __name__ == "__main__":
    main()
