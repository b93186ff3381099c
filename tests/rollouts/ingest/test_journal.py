"""The journal holds what was acknowledged: whole, in order, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import update

from rollouts.config import Settings
from rollouts.db import Database
from rollouts.errors import Unavailable
from rollouts.ingest import store
from rollouts.ingest.journal import Journal
from rollouts.ingest.model import Frame, Source
from tests.rollouts.ingest.make import open_journal

NOW = datetime(2026, 5, 14, 10, 0, 0, 123456, tzinfo=UTC)
CHECKOUT = Path(__file__).resolve().parents[3]
KILLS = 5


def frame_of(first: int, n: int = 3) -> Frame:
    """A frame of n numbered events."""
    events = [{"messageId": f"m{number}"} for number in range(first, first + n)]
    return Frame(
        Source.SEGMENT, msgspec.json.encode(events), n, True, 1, "key", NOW, NOW - timedelta(1)
    )


def test_what_is_appended_is_read_back_whole(journal: Journal) -> None:
    """All of a frame survives, times to the microsecond; offsets count events."""
    frames = [frame_of(0), replace(frame_of(3, 2), sent_at=None, is_trusted=False)]

    ends = [journal.append(frame) for frame in frames]

    assert ends == [3, 5]
    entries = journal.read(0, 100)
    assert [entry.frame for entry in entries] == frames
    assert [(entry.start, entry.end) for entry in entries] == [(0, 3), (3, 5)]
    assert (journal.end(), journal.lag(3)) == (5, 2)


def test_reading_stops_after_enough_events(journal: Journal) -> None:
    """Frames are never cut: the one that reaches the limit is the last."""
    for first in range(0, 30, 3):
        journal.append(frame_of(first))

    assert [entry.end for entry in journal.read(6, 4)] == [9, 12]
    assert journal.read(30, 4) == []


def test_many_writers_get_distinct_offsets_in_one_order(journal: Journal) -> None:
    """Whoever appends at the same time is stored in some order, nobody twice or not at all."""
    ends: list[int] = []

    def append(first: int) -> None:
        ends.extend(journal.append(frame_of(first + 3 * number)) for number in range(20))

    threads = [threading.Thread(target=append, args=(1000 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(ends) == list(range(3, 481, 3))
    assert journal.end() == 480
    assert all(entry.frame is not None for entry in journal.read(0, 1000))


def test_two_journals_on_one_store_take_turns(
    journal: Journal, db: Database, tmp_path: Path
) -> None:
    """Another process has a journal of its own on the same store; offsets stay one sequence."""
    other = open_journal(db, tmp_path)
    futures = [
        held.append_future(frame_of(3 * number))
        for number in range(40)
        for held in (journal, other)
    ]
    ends = sorted(future.result(20) for future in futures)
    other.close()

    assert ends == list(range(3, 241, 3))


def alter(journal: Journal, end: int, **values: Any) -> None:
    """Change a stored frame behind the journal's back."""
    with journal._db.transaction() as session:
        table = store.TABLE
        session.execute(update(table).where(table.c.end_offset == end).values(**values))


def packed_of(journal: Journal, end: int) -> bytes:
    """The stored bytes of a frame."""
    with journal._db.reading() as session:
        held = session.get(store.JournalFrameRow, end)
        assert held is not None
        return held.packed


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: {"packed": packed[:-1]},
        lambda packed: {"packed": b""},
        lambda packed: {"packed": packed[:9] + bytes([packed[9] ^ 1]) + packed[10:]},
        lambda packed: {"is_trusted": False},
        lambda packed: {"environment_id": 2},
        lambda packed: {"received_us": 5},
        lambda packed: {"key_id": "other"},
        lambda packed: {"checksum": 1},
    ],
    ids=["torn", "empty", "one bit", "trust", "environment", "time", "key", "checksum"],
)
def test_a_damaged_frame_is_reported_and_hides_no_other(
    journal: Journal, damage: Callable[[bytes], dict[str, Any]]
) -> None:
    """Any change of a stored frame shows; the frames around it are still there."""
    for first in (0, 3, 6):
        journal.append(frame_of(first))
    alter(journal, 6, **damage(packed_of(journal, 6)))

    before, damaged, after = journal.read(0, 100)

    assert damaged.frame is None
    assert damaged.fault
    assert (damaged.start, damaged.end, damaged.n_events) == (3, 6, 3)
    assert (before.frame, after.frame) == (frame_of(0), frame_of(6))


def test_a_missing_frame_is_reported_as_a_gap(journal: Journal) -> None:
    """Offsets count events, so frames that are gone leave a hole that shows."""
    for first in (0, 3, 6):
        journal.append(frame_of(first))
    with journal._db.transaction() as session:
        session.delete(session.get(store.JournalFrameRow, 6))

    gap = journal.read(3, 100)[0]

    assert (gap.start, gap.end, gap.frame, gap.fault) == (3, 6, None, "frames are missing")


def test_pruning_keeps_what_is_young_or_unfolded_and_the_offset(journal: Journal) -> None:
    """Old frames go once they are folded; the newest stays, for it holds the offset."""
    for days in (200, 100, 1, 200):
        journal.append(replace(frame_of(0), received_at=NOW - timedelta(days=days)))

    assert journal.prune(NOW - timedelta(days=90), folded=3) == 1
    assert journal.prune(NOW - timedelta(days=90), folded=12) == 1
    assert [entry.end for entry in journal.read(6, 100)] == [9, 12]
    assert journal.append(frame_of(0)) == 15


def test_closing_stores_what_waits_and_takes_no_more(db: Database, tmp_path: Path) -> None:
    """A graceful stop loses nothing that was asked for before it."""
    journal = open_journal(db, tmp_path)
    futures = [journal.append_future(frame_of(3 * number)) for number in range(50)]
    journal.close()

    assert max(future.result(0) for future in futures) == 150
    with pytest.raises(Unavailable):
        journal.append(frame_of(0))
    again = open_journal(db, tmp_path)
    assert again.end() == 150
    again.close()


def test_an_abandoned_wait_stops_nobody(journal: Journal) -> None:
    """A sender that goes away cannot cancel a frame or upset the others."""
    first, second = journal.append_future(frame_of(0)), journal.append_future(frame_of(3))

    assert not first.cancel()
    assert (first.result(20), second.result(20)) == (3, 6)


def test_a_frame_that_cannot_be_stored_takes_no_other_with_it(journal: Journal) -> None:
    """Frames that waited for the same commit are stored, and only the bad one is refused."""
    bad = replace(frame_of(0), key_id=None)  # type: ignore[arg-type]
    futures = [journal.append_future(frame) for frame in (frame_of(0), bad, frame_of(3)) * 10]

    results = [future.exception(20) or future.result() for future in futures]

    assert [type(result) for result in results] == [int, Unavailable, int] * 10
    assert journal.end() == 60


def test_a_frame_of_nothing_is_a_programmers_mistake(journal: Journal) -> None:
    """Its offset would be its neighbour's."""
    with pytest.raises(ValueError, match="at least one event"):
        journal.append(frame_of(0, 0))


CHILD = """
import sys
from pathlib import Path
from rollouts.config import Settings
from rollouts.db import Database
from rollouts.ingest.journal import Journal
from tests.rollouts.ingest.test_journal import frame_of

settings = Settings(var_dir=Path(sys.argv[1]))
journal = Journal.open(settings, Database(settings.store_url))
number = journal.end()
while True:
    futures = [journal.append_future(frame_of(number + 3 * n)) for n in range(40)]
    for future in futures:
        print(future.result(), flush=True)
    number += 120
"""


def test_a_kill_loses_no_acknowledged_frame(tmp_path: Path) -> None:
    """Killed again and again while it writes: all that was acknowledged is there, once."""
    acknowledged = 0
    for round_ in range(KILLS):
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(CHILD), str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=CHECKOUT,
        )
        assert child.stdout is not None
        lines = [child.stdout.readline()]
        time.sleep(0.05 * (round_ + 1))
        os.kill(child.pid, signal.SIGKILL)
        lines += child.stdout.read().splitlines(keepends=True)
        child.wait()
        child.stdout.close()
        acknowledged = max(int(line) for line in lines if line.endswith("\n"))
        journal = Journal.open(
            Settings(var_dir=tmp_path), Database(f"sqlite:///{tmp_path / 'x.db'}")
        )
        entries = journal.read(0, 10**9)
        journal.close()

        assert all(entry.frame is not None for entry in entries)
        assert entries[-1].end >= acknowledged
        ids = [
            event["messageId"]
            for entry in entries
            if entry.frame is not None
            for event in msgspec.json.decode(entry.frame.events)
        ]
        assert ids == [f"m{number}" for number in range(len(ids))]
    assert acknowledged > 0


def test_a_torn_write_ahead_log_loses_only_its_end(tmp_path: Path) -> None:
    """Bytes cut off the file's tail, as a power cut would, leave a shorter, sound journal."""
    journal = Journal.open(Settings(var_dir=tmp_path), Database(f"sqlite:///{tmp_path / 'x.db'}"))
    for first in range(0, 60, 3):
        journal.append(frame_of(first))
    copy = tmp_path / "copy"
    copy.mkdir()
    wal = (tmp_path / "journal.db-wal").read_bytes()
    (copy / "journal.db").write_bytes((tmp_path / "journal.db").read_bytes())
    (copy / "journal.db-wal").write_bytes(wal[: len(wal) - 2_000])
    journal.close()

    torn = Journal.open(Settings(var_dir=copy), Database(f"sqlite:///{copy / 'x.db'}"))
    entries = torn.read(0, 1000)

    assert 0 < len(entries) < 20
    assert [entry.frame for entry in entries] == [frame_of(3 * n) for n in range(len(entries))]
    assert torn.append(frame_of(0)) == 3 * len(entries) + 3
    torn.close()
