"""Pads that see the tags of books."""
