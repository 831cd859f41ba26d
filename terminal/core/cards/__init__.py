"""Conversations with cards: pure generators that yield a command and receive its answer. One file an application."""
