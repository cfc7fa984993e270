"""Shares of frames and attempts that were lost, where both numbers are told."""

__all__ = ["given_up_ratio", "unacknowledged_ratio"]


def given_up_ratio(acked: int | None, failed: int | None) -> float | None:
    """The share of frames that were given up, of those that wanted an ACK, 0 to 1."""
    if acked is None or failed is None or not acked + failed:
        return None
    return failed / (acked + failed)


def unacknowledged_ratio(attempts: int | None, acked: int | None) -> float | None:
    """The share of attempts without an ACK, 0 to 1."""
    if not attempts or acked is None:
        return None
    return max(0.0, 1 - acked / attempts)
