"""Monitor mode: what is on the air, by transmitter, counted by a program or from a capture file."""
