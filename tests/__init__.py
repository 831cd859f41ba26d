"""Tests mirror the sources; contracts, stories and days stand beside them."""
