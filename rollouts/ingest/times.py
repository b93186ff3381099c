"""When an event happened, by our clock: senders' clocks are wrong, late, or absent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

FUTURE_MAX = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Clock:
    """What is known about the clock of one request's sender.

    An event's time is `timestamp - (sent_at - received_at)`: whatever the sender's clock showed,
    the event lies as long before the sending as the sender says.
    """

    received_at: datetime
    sent_at: datetime | None
    keep: timedelta  # events older than this are too late to be told from repeats

    def happened_at(self, timestamp: datetime | None, *, is_corrected: bool = False) -> datetime:
        """The event's time, never after its arrival. Raises ValueError with the reason to refuse.

        `is_corrected` says that a relay has set the clock right already.
        """
        if timestamp is None:
            return self.received_at
        try:
            at = aware(timestamp)
            if self.sent_at is not None and not is_corrected:
                at = at + (self.received_at - self.sent_at)
            late, early = self.received_at - at, at - self.received_at
        except OverflowError:
            raise ValueError("its time is out of range") from None
        if early > FUTURE_MAX:
            raise ValueError("its time lies more than 24 hours in the future")
        if late > self.keep:
            raise ValueError(f"its time lies more than {self.keep.days} days in the past")
        return min(at, self.received_at)


def aware(time: datetime) -> datetime:
    """The same time with a zone; one without is taken as UTC."""
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
