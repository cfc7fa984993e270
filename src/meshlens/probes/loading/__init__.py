"""Programs of anybody, loaded and attached to stay."""
