"""One file a question; each measures ours, the peer and the limit in the same run.

Laws of this package:
- Contenders take turns in one process, so that a slow moment of the machine meets all of them; medians are compared.
- A ratio is ours divided by the limit: the least that anybody would have to pay. Nothing is subtracted.
- `run(quick)` returns the figures and prints nothing; `LIMITS` says what they must not exceed.
"""
