"""Hypothesis without a time limit per example: a busy machine is not a wrong result."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
