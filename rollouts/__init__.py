"""The service that decides, from evidence, whether a change stays."""

__version__ = "0.1.0"
