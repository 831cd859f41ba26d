"""Card readers and secure modules."""
