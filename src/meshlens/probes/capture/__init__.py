"""Capture: frames into pcapng files, filtered and laid out by the kernel side."""
