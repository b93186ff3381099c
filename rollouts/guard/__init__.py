"""Snapshot and tolerances to verdict to action."""
