"""Taking OpenTelemetry's logs in: what a split showed a unit is kept, all else is let go.

Evaluations come by the thousand for one unit, so that repeats within a request are dropped
here; those of other requests the ledger drops, which alone knows what was counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import msgspec

from rollouts.errors import RolloutsError
from rollouts.ingest import evaluations, otlp, wire
from rollouts.ingest.callers import Parts, admit_key, presented_in
from rollouts.ingest.evaluations import LogRecord
from rollouts.ingest.model import Answer, Frame, Source
from rollouts.ingest.service import Intake, store
from rollouts.ingest.times import Clock
from rollouts.ingest.unpack import unpack

NO_EVALUATION = "No log record here is a feature_flag.evaluation event; the others are not kept"

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Sorted:
    """The splits to keep, the first of each unit, and how many other records there were."""

    splits: dict[tuple[str, str, str], tuple[datetime, bytes]] = field(default_factory=dict)
    n_all: int = 0
    n_evaluations: int = 0
    n_rejected: int = 0
    fault: str = ""  # of the first that was rejected

    def reject(self, reason: str) -> None:
        """Count a split that cannot be used."""
        self.n_rejected += 1
        self.fault = self.fault or reason

    @property
    def message(self) -> str:
        """What the sender should know; "" if all is well."""
        if self.n_rejected:
            return f"{self.n_rejected} evaluations refused. The first: {self.fault}."
        return NO_EVALUATION if self.n_all and not self.n_evaluations else ""


def take_otlp(
    parts: Parts,
    *,
    authorization: str,
    body: bytes,
    content_type: str,
    content_encoding: str,
    now: datetime,
    origin: str = "",
) -> Intake:
    """Read a request of OTLP's logs; refusals are answers, not exceptions."""
    settings = parts.settings
    try:
        encoding = otlp.encoding_of(content_type)
        key = admit_key(parts, presented_in(authorization) if authorization else "", now, origin)
        plain = unpack(body, content_encoding, settings.otlp_max_bytes)
        keep = timedelta(days=settings.journal_keep_days)
        held = sort(otlp.read(plain, encoding), Clock(now, None, keep), settings.event_max_bytes)
    except RolloutsError as wrong:
        return Intake(otlp.refusal(wrong, content_type))
    refuse = partial(otlp.refusal, content_type=content_type)
    parts.quotas.spend(key.id, n_bytes=len(plain), n_events=held.n_all)
    answer = otlp.success(encoding, held.n_rejected, held.message)
    if not held.splits:
        return Intake(answer)
    raws = [raw for _, raw in held.splits.values()]
    frame = Frame(
        source=Source.OTLP,
        events=b"[" + b",".join(raws) + b"]",
        n_events=len(raws),
        is_trusted=key.is_trusted,
        environment_id=key.environment_id or 0,
        key_id=key.id,
        received_at=now,
    )
    return Intake(answer, frame, refuse)


def accept_otlp(
    parts: Parts,
    *,
    authorization: str,
    body: bytes,
    content_type: str,
    content_encoding: str,
    now: datetime,
    origin: str = "",
) -> Answer:
    """OpenTelemetry's logs; returns when what is kept of them is durable."""
    taken = take_otlp(
        parts,
        authorization=authorization,
        body=body,
        content_type=content_type,
        content_encoding=content_encoding,
        now=now,
        origin=origin,
    )
    return store(parts, taken)


def sort(records: Iterable[LogRecord], clock: Clock, size_max: int) -> Sorted:
    """Tell splits from everything else that is logged."""
    held = Sorted()
    for record in records:
        held.n_all += 1
        if not evaluations.is_evaluation(record):
            continue
        held.n_evaluations += 1
        if evaluations.is_split(record):
            _take_split(held, record, clock, size_max)
    return held


def _take_split(held: Sorted, record: LogRecord, clock: Clock, size_max: int) -> None:
    try:
        said = evaluations.read(record)
        at = clock.happened_at(evaluations.to_time(said.at_ns))
    except ValueError as reason:
        held.reject(str(reason))
        return
    raw = _encode(evaluations.without_the_rest(record))
    fault = wire.fault_of_bytes(raw, size_max)
    if fault:
        held.reject(fault)
        return
    seen = (said.flag, said.variation, said.unit)
    if seen not in held.splits or at < held.splits[seen][0]:
        held.splits[seen] = (at, raw)
