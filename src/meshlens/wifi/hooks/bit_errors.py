"""An estimate of the bit error ratio from frames that were lost.

A receiver tells no wrong bits: it tells whether a frame's FCS was right. If bits go wrong independently, each
with probability p, a frame of n bits is whole with probability (1 - p)^n; so the share e of damaged frames
gives p = 1 - (1 - e)^(1/n).

What this assumes, and what it does not see:

- Errors come in bursts, after decoding even more so: the true share of wrong bits is higher.
- The FCS notices all errors (it misses one in 2^32).
- Frames are of about the same length; for n the mean is taken, though long ones are damaged more often.
- Of frames sent, the loss is known by missing ACKs alone. Collisions, lost ACKs and a receiver that is away
  count as damage then: an upper bound. Preamble and header, sent at a lower rate, are not set apart.
"""

import math

__all__ = ["bit_error_ratio"]


def bit_error_ratio(lost: int, frames: int, mean_bytes: float) -> float | None:
    """Wrong bits by bits, of which `frames` frames of `mean_bytes` (with FCS) so many were lost.

    None if nothing was sent or all was lost, which bounds nothing.
    """
    if frames <= 0 or mean_bytes <= 0 or not 0 <= lost < frames:
        return None
    return 0.0 - math.expm1(math.log1p(-lost / frames) / (8 * mean_bytes))
