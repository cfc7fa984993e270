"""All probes together, read at once."""
