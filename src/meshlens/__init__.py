"""Count and classify network traffic inside the Linux kernel, with eBPF programs made at run time."""

__version__ = "0.1.0"
