"""Filter lists in, classic BPF out: bpfcountd's format, batman-adv scopes, libpcap for all else."""
