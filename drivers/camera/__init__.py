"""Codes from a camera: what is in a picture, and which of it to believe.

Laws of this package:
- Pictures are untrusted and so are the libraries that read them: only the child process imports what touches a pixel.
- A payload is bytes, bit for bit as the code holds them; nothing here asks what they mean.
"""
