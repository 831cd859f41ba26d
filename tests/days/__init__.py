"""Simulated days: a site, its people and its troubles from one seed; sixteen hours pass in seconds.

Laws of this package:
- A day is that of one trade: a bus with purses, a line with two taps, a park, an event, a library. Seeds take
  turns.
- The terminal is the real one, put together by `terminal.assemble` from the ports' simulators; nothing of it is mocked.
- No thread, executor or process under the jumping loop; days run side by side in processes of their own.
- Everything that happens is recorded in order; `tests/checkers.py` judges the record afterwards and knows no world.
- The same seed brings the same day: its digest leaves out only what is random on purpose (epochs, keys, signatures).
"""
