"""Taking events in: an answer of 200 means that they are in the journal.

No web framework is used here: the pages' server and the fast edge call the same functions.
`take_*` decides, `store` and `store_async` wait for the journal, `accept_*` do both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from rollouts.accounts.model import Key
from rollouts.errors import RolloutsError
from rollouts.ingest import answers, intake
from rollouts.ingest.callers import Parts, admit_connection, admit_key, presented_in
from rollouts.ingest.intake import SegmentBody, Sorted
from rollouts.ingest.model import Answer, Frame, Source
from rollouts.ingest.unpack import unpack

Refuse = Callable[[RolloutsError], Answer]
REFUSE_PAGES: Refuse = partial(answers.refusal, headers=answers.ANY_ORIGIN)


@dataclass(frozen=True, slots=True)
class Intake:
    """What to store, and what to say once it is stored."""

    answer: Answer
    frame: Frame | None = None
    refuse: Refuse = answers.refusal  # what to say if it cannot be stored


def accept_growthbook(
    parts: Parts, *, client_key: str, body: bytes, content_encoding: str, now: datetime
) -> Answer:
    """Events of GrowthBook's tracking plugins; returns when they are durable."""
    taken = take_growthbook(
        parts, client_key=client_key, body=body, content_encoding=content_encoding, now=now
    )
    return store(parts, taken)


def accept_segment(
    parts: Parts,
    *,
    kind: str,
    authorization: str,
    body: bytes,
    content_encoding: str,
    now: datetime,
    origin: str = "",
) -> Answer:
    """Events of Segment's HTTP API; returns when they are durable.

    kind: batch, or the type of the one event: track, identify, page, screen, group, alias.
    """
    taken = take_segment(
        parts,
        kind=kind,
        authorization=authorization,
        body=body,
        content_encoding=content_encoding,
        now=now,
        origin=origin,
    )
    return store(parts, taken)


def store(parts: Parts, taken: Intake) -> Answer:
    """Wait until the frame is durable, then give the answer."""
    if taken.frame is None:
        return taken.answer
    try:
        parts.journal.append(taken.frame)
    except RolloutsError as wrong:
        return taken.refuse(wrong)
    return taken.answer


async def store_async(parts: Parts, taken: Intake) -> Answer:
    """Like `store`, without holding a thread while the journal commits."""
    if taken.frame is None:
        return taken.answer
    try:
        await asyncio.wrap_future(parts.journal.append_future(taken.frame))
    except RolloutsError as wrong:
        return taken.refuse(wrong)
    return taken.answer


def take_growthbook(
    parts: Parts, *, client_key: str, body: bytes, content_encoding: str, now: datetime
) -> Intake:
    """Read a request of the tracking plugins; refusals are answers, not exceptions."""
    headers = answers.ANY_ORIGIN
    try:
        connection = admit_connection(parts, client_key, now)
        plain = unpack(body, content_encoding, parts.settings.ingest_max_bytes)
        held = intake.sort_growthbook(plain, size_max=parts.settings.event_max_bytes)
    except RolloutsError as wrong:
        return Intake(answers.refusal(wrong, headers))
    parts.quotas.spend(connection.client_key, n_bytes=len(plain), n_events=held.n_all)
    frame = Frame(
        source=Source.GROWTHBOOK,
        events=held.as_json,
        n_events=len(held.good),
        is_trusted=False,  # the key is in every browser
        environment_id=connection.environment_id,
        key_id=connection.client_key,
        received_at=now,
    )
    return _intake(held, frame, headers, REFUSE_PAGES)


def take_segment(
    parts: Parts,
    *,
    kind: str,
    authorization: str,
    body: bytes,
    content_encoding: str,
    now: datetime,
    origin: str = "",
) -> Intake:
    """Read a request of Segment's API; refusals are answers, not exceptions.

    origin: that of the page which sent it, if it is not ours.
    """
    try:
        key = admit_key(parts, presented_in(authorization), now, origin) if authorization else None
        plain = unpack(body, content_encoding, parts.settings.ingest_max_bytes)
        read = intake.read_batch(plain) if kind == "batch" else intake.read_alone(plain, kind)
        if key is None:
            key = admit_key(parts, read.write_key, now, origin)
    except RolloutsError as wrong:
        return Intake(answers.refusal(wrong))
    parts.quotas.spend(key.id, n_bytes=len(plain), n_events=len(read.raws))
    return _take_events(parts, key, read, now)


def _take_events(parts: Parts, key: Key, read: SegmentBody, now: datetime) -> Intake:
    held = intake.sort_segment(
        read,
        now=now,
        keep=timedelta(days=parts.settings.journal_keep_days),
        size_max=parts.settings.event_max_bytes,
    )
    frame = Frame(
        source=Source.SEGMENT,
        events=held.as_json,
        n_events=len(held.good),
        is_trusted=key.is_trusted,
        environment_id=key.environment_id or 0,
        key_id=key.id,
        received_at=now,
        sent_at=read.sent_at,
    )
    return _intake(held, frame, answers.NO_HEADERS, answers.refusal)


def _intake(held: Sorted, frame: Frame, headers: Mapping[str, str], refuse: Refuse) -> Intake:
    if held.good:
        return Intake(answers.success(len(held.good), held.rejected, headers), frame, refuse)
    if held.rejected:
        return Intake(answers.nothing_usable(held.rejected, headers))
    return Intake(answers.success(0, [], headers))
