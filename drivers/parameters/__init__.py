"""Where parameter sets come from."""
