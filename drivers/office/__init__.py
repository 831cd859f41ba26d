"""The way to head office."""
