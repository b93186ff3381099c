"""A frame as a row: packed, with a checksum over all that is stored of it."""

from __future__ import annotations

import struct
import threading
import zlib
from typing import Any

import zstandard
from sqlalchemy import Row

from rollouts.ingest.model import Entry, Frame, Source, from_us, to_us

PACK_LEVEL = 1  # stronger levels cost more time than the disk they save

_tools = threading.local()  # zstd contexts are not for two threads at once


def pack(frame: Frame) -> dict[str, Any]:
    """The row of a frame, all but its offset and checksum."""
    return {
        "n_events": frame.n_events,
        "received_us": to_us(frame.received_at),
        "sent_us": to_us(frame.sent_at) if frame.sent_at is not None else None,
        "source": frame.source.value,
        "is_trusted": frame.is_trusted,
        "environment_id": frame.environment_id,
        "key_id": frame.key_id,
        "size": len(frame.events),
        "packed": _compressor().compress(frame.events),
    }


def seal(row: dict[str, Any], end_offset: int) -> dict[str, Any]:
    """The row at its place in the journal, checksum included."""
    row["end_offset"] = end_offset
    row["checksum"] = _checksum(row)
    return row


def read(row: Row[Any]) -> Entry:
    """What a row holds; a damaged one says so instead of guessing."""
    start, end = row.end_offset - row.n_events, row.end_offset
    if row.checksum != _checksum(row._mapping):
        return Entry(start, end, None, "the checksum does not fit")
    try:
        events = _decompressor().decompress(row.packed, max_output_size=row.size)
    except zstandard.ZstdError:
        return Entry(start, end, None, "the events cannot be unpacked")
    return Entry(start, end, _frame(row, events))


def _frame(row: Row[Any], events: bytes) -> Frame:
    return Frame(
        source=Source(row.source),
        events=events,
        n_events=row.n_events,
        is_trusted=row.is_trusted,
        environment_id=row.environment_id,
        key_id=row.key_id,
        received_at=from_us(row.received_us),
        sent_at=from_us(row.sent_us) if row.sent_us is not None else None,
    )


def _checksum(row: Any) -> int:
    head = struct.pack(
        "<qqqqqq?",
        row["end_offset"],
        row["n_events"],
        row["received_us"],
        row["sent_us"] or 0,
        row["environment_id"],
        row["size"],
        row["is_trusted"],
    )
    text = f"{row['source']}|{row['key_id']}|".encode()
    return zlib.crc32(row["packed"], zlib.crc32(head + text))


def _compressor() -> zstandard.ZstdCompressor:
    if not hasattr(_tools, "compressor"):
        _tools.compressor = zstandard.ZstdCompressor(level=PACK_LEVEL)
    return _tools.compressor  # type: ignore[no-any-return]


def _decompressor() -> zstandard.ZstdDecompressor:
    if not hasattr(_tools, "decompressor"):
        _tools.decompressor = zstandard.ZstdDecompressor()
    return _tools.decompressor  # type: ignore[no-any-return]
