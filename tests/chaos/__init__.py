"""Records through a link that does everything a network can do, while both ends are killed again and again.

Laws of this package:
- Real ends: a terminal put together by `terminal.assemble` over the real store and the real HTTPS driver, and head
  office as a process of its own with mutual TLS. They meet through a TCP proxy on loopback and nowhere else.
- Both ends die by SIGKILL; nothing they held in memory survives.
- What was acknowledged is what the terminal said after `append` had returned, read from its pipe.
- Judged at the end: head office's records against the journal's, byte for byte, each exactly once.
"""
