"""Packet offsets that stand for things no packet holds.

A rewritten filter asks libpcap for a byte at one of these offsets; the compiler recognises the load
by its offset and replaces it by what it stands for. So libpcap, which knows nothing of scopes or
hooks, still parses, orders and optimises the whole expression. The offsets fit in 31 bits (libpcap
takes larger ones for negative) and lie far beyond any frame.
"""

__all__ = ["MARK_INNER", "MARK_META", "META_DIRECTION", "META_IFINDEX"]

#: The byte at MARK_INNER + i is 1 when part i of the expression matches the inner frame, else 0.
MARK_INNER = 0x7FFE_0000

#: What the hook knows: a byte 0 (in) or 1 (out) at META_DIRECTION, a 32-bit number at META_IFINDEX.
MARK_META = 0x7FFF_0000
META_DIRECTION = MARK_META
META_IFINDEX = MARK_META + 4
