"""Wi-Fi: what is on the air, by transmitter, and where each number about it comes from."""
