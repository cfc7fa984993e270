"""The trained model in the kernel: what a sample is there, the model as programs, the session."""
