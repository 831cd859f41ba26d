"""A terminal turns a presentation into a decision, writes it down, moves the gate, and later tells head office.

core/       the nouns and the rules: pure, no clock, no file, no wire
ports.py    what the rules and the lanes ask of the world
runtime/    what waits for the world: lanes, journal, uploader, parameters, supervision
cli/        the `terminal` command
assemble.py joins settings, drivers and runtime into a running Terminal
"""

__version__ = "0.1.0"
