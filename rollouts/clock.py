"""The one place that asks what time it is; everything else is told."""

from datetime import UTC, datetime


def utcnow() -> datetime:
    """Now, aware and in UTC."""
    return datetime.now(UTC)
