"""What a ride costs: pure functions from tariff, context and ledgers, whoever pays.

Laws of this package:
- A price is found by a chain of rules, each `Quote → Quote`; the steps they leave behind are the explanation.
- It knows nothing of codes, cards or gates: a purse that carries its own truth brings it as a ledger.
"""
