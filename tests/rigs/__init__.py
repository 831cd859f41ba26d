"""Rigs: the whole terminal as a process of its own, and what can happen to the machine it runs on.

Laws of this package:
- The terminal is `terminal run CONFIG`, met only by pty, HTTPS, files and signals, as the demo meets it.
- What counts as acknowledged was seen outside: a coil of a board, written down where no cut reaches.
- A rig first catches a planted bug; one that cannot fail proves nothing.
- Whatever was mounted, started or attached is gone afterwards, also after a failure.
"""
