"""Web pages for a browser on the terminal itself: the passenger's display and the kiosk's touch pages.

Laws of this package:
- Only `terminal.assemble` imports it, and only where a configuration has a `[console]`: its server costs memory.
- It shows and decides nothing. What a lane tells it is kept, never waited for: a browser that is slow, dead or a
  hundred of them hold up no gate.
- Nothing on a page comes from elsewhere, and nobody elsewhere can ask: guard.py.
"""
