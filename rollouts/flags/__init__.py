"""Flags: what they are, what they evaluate to, and how they reach every SDK."""
