"""Scan modules: bytes to payloads."""
