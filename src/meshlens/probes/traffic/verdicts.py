"""What XDP programs decided, as far as drivers count it: each has names of its own for the same things."""

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["VERDICTS", "verdicts_of"]

#: What a name says after "xdp_" -> the verdict. "packets" are all that were given to a program.
_WORDS: Final = {
    "packets": "packets",  # veth, virtio_net
    "pass": "pass",  # ena, mvneta, gve
    "drop": "drop",  # mlx5, mlx4, ena, mvneta, hv_netvsc
    "drops": "drop",  # veth, virtio_net, sfc
    "tx": "tx",  # virtio_net, ena, mvneta, sfc, mlx4
    "tx_xmit": "tx",  # mlx5
    "redirect": "redirect",  # veth, mlx5, ena, mvneta, sfc
    "redirects": "redirect",  # virtio_net
    "aborted": "aborted",  # ena, gve
}
VERDICTS: Final = ("packets", "pass", "drop", "tx", "redirect", "aborted")

# As in rx_queue_0_xdp_drops (veth), rx0_xdp_redirects (virtio_net), rx_xdp_drop and rx0_xdp_drop (mlx5: the
# sum and its parts), queue_0_rx_xdp_pass (ena), rx_xdp_drop[0] (gve). What is sent out because somebody
# redirected it here (tx_queue_0_xdp_xmit) is no verdict of this interface.
_NAME: Final = re.compile(r"(?!tx)(?P<before>\w*?)xdp_(?P<word>[a-z_]+?)(?P<after>_?\[?\d*\]?)")


def verdicts_of(names: Sequence[str], values: Sequence[int]) -> dict[str, int]:
    """Frames by verdict, from a driver's counters. Where it has sums beside those of its queues, the sums."""
    of_queues: dict[str, int] = {}
    sums: dict[str, int] = {}
    for name, value in zip(names, values, strict=False):
        found = _NAME.fullmatch(name)
        if found and (verdict := _WORDS.get(found["word"])):
            queue = any(char.isdigit() for char in found["before"] + found["after"])
            kept = of_queues if queue else sums
            kept[verdict] = kept.get(verdict, 0) + value
    told = of_queues | sums
    return {verdict: told[verdict] for verdict in VERDICTS if verdict in told}
