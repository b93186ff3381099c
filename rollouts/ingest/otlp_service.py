"""Taking OpenTelemetry's logs and spans in: what a split showed a unit is kept, the rest let go.

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
from rollouts.ingest import evaluations, otlp, otlp_reading, wire
from rollouts.ingest.callers import Parts, admit_key, presented_in
from rollouts.ingest.evaluations import LogRecord
from rollouts.ingest.model import Answer, Frame, Source
from rollouts.ingest.otlp import Signal
from rollouts.ingest.otlp_reading import Records
from rollouts.ingest.service import Intake, store
from rollouts.ingest.times import Clock
from rollouts.ingest.unpack import unpack

NO_EVALUATION = {
    Signal.LOGS: "No log record here is a feature_flag.evaluation event; the others are not kept",
    Signal.TRACES: "No span here has a feature_flag.evaluation event; nothing else is kept",
}
NO_REASON = "Without feature_flag.result.reason: {}. Only where it is split was a unit divided"

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Sorted:
    """The splits to keep, the first of each unit, and how many other records there were."""

    splits: dict[tuple[str, str, str], tuple[datetime, bytes]] = field(default_factory=dict)
    n_all: int = 0  # log records, or spans and their events
    n_evaluations: int = 0
    n_without_reason: int = 0
    n_refused: int = 0  # evaluations
    n_rejected: int = 0  # log records, or spans, with an evaluation that was refused
    fault: str = ""  # of the first that was refused

    def refuse(self, reason: str) -> None:
        """Count a split that cannot be used."""
        self.n_refused += 1
        self.fault = self.fault or reason

    def message(self, signal: Signal) -> str:
        """What the sender should know; "" if all is well."""
        if self.n_refused:
            return f"{self.n_refused} evaluations refused. The first: {self.fault}."
        if self.n_without_reason:
            return NO_REASON.format(self.n_without_reason)
        return NO_EVALUATION[signal] if self.n_all and not self.n_evaluations else ""


def take_otlp(
    parts: Parts,
    signal: Signal,
    *,
    authorization: str,
    body: bytes,
    content_type: str,
    content_encoding: str,
    now: datetime,
    origin: str = "",
) -> Intake:
    """Read a request of OTLP; refusals are answers, not exceptions."""
    settings = parts.settings
    try:
        encoding = otlp.encoding_of(content_type)
        key = admit_key(parts, presented_in(authorization) if authorization else "", now, origin)
        plain = unpack(body, content_encoding, settings.otlp_max_bytes)
        keep = timedelta(days=settings.journal_keep_days)
        told = otlp_reading.read(signal, plain, encoding)
        held = sort(told, Clock(now, None, keep), settings.event_max_bytes)
    except RolloutsError as wrong:
        return Intake(otlp.refusal(wrong, content_type))
    refuse = partial(otlp.refusal, content_type=content_type)
    parts.quotas.spend(key.id, n_bytes=len(plain), n_events=held.n_all)
    answer = otlp.success(signal, encoding, held.n_rejected, held.message(signal))
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
    signal: Signal,
    *,
    authorization: str,
    body: bytes,
    content_type: str,
    content_encoding: str,
    now: datetime,
    origin: str = "",
) -> Answer:
    """OpenTelemetry's logs or spans; returns when what is kept of them is durable."""
    taken = take_otlp(
        parts,
        signal,
        authorization=authorization,
        body=body,
        content_type=content_type,
        content_encoding=content_encoding,
        now=now,
        origin=origin,
    )
    return store(parts, taken)


def sort(told: Iterable[Records], clock: Clock, size_max: int) -> Sorted:
    """Tell splits from everything else that is logged."""
    held = Sorted()
    for records in told:
        held.n_all += max(len(records), 1)
        before = held.n_refused
        for record in records:
            if evaluations.is_evaluation(record):
                _take_evaluation(held, record, clock, size_max)
        held.n_rejected += held.n_refused > before
    return held


def _take_evaluation(held: Sorted, record: LogRecord, clock: Clock, size_max: int) -> None:
    held.n_evaluations += 1
    reasons = evaluations.reasons_of(record)
    if not reasons:
        held.n_without_reason += 1
    elif evaluations.SPLIT in reasons:
        _take_split(held, record, clock, size_max)


def _take_split(held: Sorted, record: LogRecord, clock: Clock, size_max: int) -> None:
    try:
        said = evaluations.read(record)
        at = clock.happened_at(evaluations.to_time(said.at_ns))
    except ValueError as reason:
        held.refuse(str(reason))
        return
    raw = _encode(evaluations.without_the_rest(record))
    fault = wire.fault_of_bytes(raw, size_max)
    if fault:
        held.refuse(fault)
        return
    seen = (said.flag, said.variation, said.unit)
    if seen not in held.splits or at < held.splits[seen][0]:
        held.splits[seen] = (at, raw)
