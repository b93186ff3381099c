"""One version of a connection's payload as the bytes that go out: made once, sent many times."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import brotli
import msgspec
import zstandard

from rollouts.flags import payload
from rollouts.flags.answers import CORS, JSON_TYPE, Answer
from rollouts.flags.encryption import encrypt, iv_of
from rollouts.flags.evaluation.program import Program
from rollouts.flags.model import Connection, GroupForm, Mode, Options
from rollouts.flags.sources import Source

CACHE_CONTROL: Final = "public, max-age=30, stale-while-revalidate=3600, stale-if-error=36000"
PLAIN: Final = "identity"
SEALED_NAMES: Final = {
    "features": "encryptedFeatures",
    "savedGroups": "encryptedSavedGroups",
    "experiments": "encryptedExperiments",
    "contextualBandits": "encryptedContextualBandits",
}
WORTH_PACKING: Final = 500  # bytes; below, headers weigh more than what is saved

PACKERS: Final[dict[str, Callable[[bytes], bytes]]] = {  # best first
    "br": lambda body: bytes(brotli.compress(body, quality=6)),
    "zstd": lambda body: zstandard.ZstdCompressor(level=9).compress(body),
    "gzip": lambda body: gzip.compress(body, 7, mtime=0),
}


class Served:
    """The answers for one connection and version. Immutable but for what is made on first use."""

    def __init__(
        self,
        connection: Connection,
        source: Source,
        canonical: dict[str, Any],
        programs: dict[Options, Program],
    ) -> None:
        """programs: those compiled from `canonical` so far, shared by all that are made from it."""
        self.source = source
        self.mode = connection.mode
        self._options = connection.options
        self.canonical = canonical
        self.body = _body(connection, source.updated_at, canonical)
        digest = hashlib.sha256(self.body).hexdigest()
        self.etag = f'W/"{digest[:32]}"'
        self.event_id = f"{source.version}-{digest[:8]}"
        self.frame = self._frame()
        self.ofrep_frame = self._ofrep_frame()
        self.not_modified = Answer(304, self._headers(PLAIN))
        self._answers: dict[str, Answer] = {}
        self._programs = programs
        self._needed = replace(self._options, groups=GroupForm.REFERENCES)

    def _frame(self) -> bytes:
        if self.mode is Mode.REMOTE:
            return f"id: {self.event_id}\nevent: features-updated\ndata: \n\n".encode()
        head = f"id: {self.event_id}\nevent: features\ndata: ".encode()
        return head + self.body + b"\n\n"

    def _ofrep_frame(self) -> bytes:
        moment = int(self.source.updated_at.timestamp())
        told = {"type": "refetchEvaluation", "etag": self.event_id, "lastModified": moment}
        head = f"id: {self.event_id}\nevent: message\ndata: ".encode()
        return head + msgspec.json.encode(told) + b"\n\n"

    def answer(self, accept_encoding: str) -> Answer:
        """The whole answer in the best encoding that the client takes."""
        coding = best_coding(accept_encoding) if len(self.body) >= WORTH_PACKING else PLAIN
        found = self._answers.get(coding)
        if found is None:
            packed = self.body if coding == PLAIN else PACKERS[coding](self.body)
            found = self._answers[coding] = Answer(200, self._headers(coding), packed)
        return found

    def _headers(self, coding: str) -> tuple[tuple[str, str], ...]:
        encoding = () if coding == PLAIN else (("Content-Encoding", coding),)
        return (
            JSON_TYPE,
            *encoding,
            ("ETag", self.etag),
            ("Cache-Control", CACHE_CONTROL),
            ("Vary", "Accept-Encoding"),
            ("x-sse-support", "enabled"),
            *CORS,
        )

    def prepare(self, before: Served | None) -> None:
        """Make at once what the version before was asked for, so that no client waits for it."""
        for coding in () if before is None else tuple(before._answers):
            self.answer(coding)

    def prepare_program(self, before: Served) -> None:
        """Compile at once if the version before was evaluated; takes longer than all the rest."""
        if before._needed in before._programs:
            _ = self.program

    @property
    def program(self) -> Program:
        """The flags compiled for evaluation."""
        found = self._programs.get(self._needed)
        if found is None:
            found = self._programs[self._needed] = self._compile()
        return found

    def _compile(self) -> Program:
        told = payload.adapt(self.canonical, self._needed)
        bandits = told.get("contextualBandits", {})
        return Program(told["features"], told["savedGroups"], bandits)

    @property
    def date_updated(self) -> str:
        """The version as SDKs compare it."""
        return to_date(self.source.updated_at)


def _body(connection: Connection, updated_at: datetime, canonical: dict[str, Any]) -> bytes:
    own = payload.adapt(canonical, connection.options)
    if connection.encryption_key is not None:
        own = _encrypted(own, connection.encryption_key)
    whole = {"status": 200, **own, "dateUpdated": to_date(updated_at)}
    return msgspec.json.encode(whole)


def _encrypted(own: dict[str, Any], key: str) -> dict[str, Any]:
    """Every section as a text; the plain members stay, empty, where SDKs expect them."""
    sealed: dict[str, Any] = {"features": {}}
    if "experiments" in own:
        sealed["experiments"] = []
    for section, name in SEALED_NAMES.items():
        if section in own:
            text = msgspec.json.encode(own[section]).decode()
            sealed[name] = encrypt(text, key, iv_of(text, key, section))
    return sealed


def to_date(moment: datetime) -> str:
    """ISO 8601 with milliseconds and Z.

    >>> to_date(datetime(2026, 11, 21, 19, 36, 16, 123000, tzinfo=UTC))
    '2026-11-21T19:36:16.123Z'
    """
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(maxsize=1_000)
def best_coding(accept_encoding: str) -> str:
    """The smallest encoding of ours that a client accepts (RFC 9110, 12.5.3).

    >>> best_coding("gzip, deflate"), best_coding("gzip, br;q=0"), best_coding("")
    ('gzip', 'gzip', 'identity')
    """
    weights = dict(_weighed(part) for part in accept_encoding.lower().split(","))
    for coding in PACKERS:
        if weights.get(coding, weights.get("*", 0.0)) > 0:
            return coding
    return PLAIN


def _weighed(part: str) -> tuple[str, float]:
    coding, _, parameters = part.partition(";")
    name, _, weight = parameters.partition("=")
    try:
        return coding.strip(), float(weight) if name.strip() == "q" else 1.0
    except ValueError:
        return coding.strip(), 0.0


@lru_cache(maxsize=10_000)
def is_same_tag(if_none_match: str, etag: str) -> bool:
    """Whether a client has this version, compared weakly (RFC 9110, 13.1.2).

    >>> is_same_tag('"x", W/"abc"', 'W/"abc"'), is_same_tag('*', 'W/"a"'), is_same_tag("a", "b")
    (True, True, False)
    """
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags
