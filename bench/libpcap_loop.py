"""What a user's script does with libpcap: capture, run each filter on each frame, count.

    python -m bench.libpcap_loop LIST INTERFACE

A process of libpcap.py. Says "ready" when it captures; at SIGTERM prints how many frames it has seen, and how
many the kernel dropped, and ends.
"""

import json
import signal
import sys

import cypcap

from bench.flat import flat_cbpf
from meshlens.filters.lists import load_list


def main(list_path: str, interface: str) -> None:
    programs = [
        cypcap.BpfProgram([tuple(insn) for insn in flat_cbpf(each.expression)])
        for each in load_list(list_path)
    ]
    counts = [[0, 0] for _ in programs]
    seen = 0
    with cypcap.create(interface) as capture:
        capture.set_snaplen(262144)
        capture.set_timeout(100)
        capture.activate()

        def end(*_: object) -> None:
            print(json.dumps([seen, capture.stats().drop]), flush=True)
            sys.exit()

        signal.signal(signal.SIGTERM, end)
        print("ready", flush=True)
        while True:
            for header, frame in capture:
                if frame is None:
                    continue
                seen += 1
                for program, count in zip(programs, counts, strict=True):
                    if program.offline_filter(header, frame):
                        count[0] += 1
                        count[1] += header.len


if __name__ == "__main__":
    main(*sys.argv[1:])
