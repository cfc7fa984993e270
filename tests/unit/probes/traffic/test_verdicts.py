"""XDP verdicts out of drivers' counters: names as the drivers have them."""

import pytest

from meshlens.probes.traffic.verdicts import verdicts_of

VETH = (
    "peer_ifindex", "rx_queue_0_xdp_packets", "rx_queue_0_xdp_bytes", "rx_queue_0_drops",
    "rx_queue_0_xdp_redirect", "rx_queue_0_xdp_drops", "rx_queue_0_xdp_tx", "rx_queue_0_xdp_tx_errors",
    "tx_queue_0_xdp_xmit", "tx_queue_0_xdp_xmit_errors",
)  # fmt: skip


@pytest.mark.parametrize(
    ("names", "values", "verdicts"),
    [
        (VETH, (7, 100, 6400, 3, 4, 50, 6, 1, 9, 9), {"packets": 100, "drop": 50, "tx": 6, "redirect": 4}),
        (  # virtio_net, two queues
            ("rx_queue_0_xdp_packets", "rx_queue_1_xdp_packets", "rx_queue_0_xdp_tx", "rx_queue_1_xdp_redirects",  # noqa: E501
             "rx_queue_1_xdp_drops", "tx_queue_0_xdp_tx", "tx_queue_0_xdp_tx_drops"),
            (10, 20, 1, 2, 3, 99, 99),
            {"packets": 30, "drop": 3, "tx": 1, "redirect": 2},
        ),
        (("rx0_xdp_packets", "rx1_xdp_packets", "tx0_xdp_tx"), (1, 2, 9), {"packets": 3}),
        (  # mlx5: sums beside those of the rings
            ("rx_xdp_drop", "rx_xdp_redirect", "rx_xdp_tx_xmit", "rx_xdp_tx_err", "rx0_xdp_drop",
             "rx1_xdp_drop", "tx_xdp_xmit"),
            (5, 6, 7, 1, 2, 3, 9),
            {"drop": 5, "tx": 7, "redirect": 6},
        ),
        (  # ena
            ("queue_0_rx_xdp_aborted", "queue_0_rx_xdp_drop", "queue_0_rx_xdp_pass", "queue_1_rx_xdp_pass"),
            (1, 2, 3, 4),
            {"pass": 7, "drop": 2, "aborted": 1},
        ),
        (("rx_xdp_drop[0]", "rx_xdp_drop[1]", "rx_xdp_redirect_errors[0]"), (1, 2, 9), {"drop": 3}),  # gve
        (("rx_packets", "tx_packets", "rx_dropped"), (1, 2, 3), {}),
        ((), (), {}),
    ],
)  # fmt: skip
def test_names_of_drivers_are_known(
    names: tuple[str, ...], values: tuple[int, ...], verdicts: dict[str, int]
) -> None:
    assert verdicts_of(names, values) == verdicts
