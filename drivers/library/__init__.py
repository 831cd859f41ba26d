"""Library systems: who may borrow, what is lent, by SIP2 over TCP."""
