"""Nouns and rules: pure. No clock, no file, no wire, no wait."""
