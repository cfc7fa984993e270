"""Decision graphs: many filters as one graph of multi-way tests, interpreted or compiled to eBPF."""
