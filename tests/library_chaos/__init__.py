"""Questions to library systems through a line that does everything a line can do.

Laws of this package:
- Real ends: the product's SIP2 driver, and servers that listen on loopback: one that pretends, two that others wrote.
- The line knows messages and meets one question with one fault, named before it is asked; so what may come of it is a
  table, and how patient the driver is depends on whether an answer will come, not on how busy the machine is.
- The line does nothing to a loan that TCP cannot do: it does not say a checkout twice on its own account.
- Judged: an answer is of the question that was asked; each silence has the name that its fault deserves; a copy that
  may have been lent without our hearing of it is settled by the product's own replay, and is lent once.
"""
