"""Packets as bytes: header layouts, batman-adv, capture files, and frames made to measure."""
