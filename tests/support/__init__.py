"""Helpers that tests share: real servers on loopback and small fakes."""
