"""Killed at any moment, again and again: every total stays exact."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from rollouts import tables  # noqa: F401
from rollouts.config import Settings
from rollouts.db import Base, Database
from rollouts.ingest.journal import Journal
from rollouts.ledger import service
from tests.rollouts.ledger.make import (
    ALL_METRICS,
    at,
    exposure,
    frame,
    outcome,
    start_rollout,
)
from tests.rollouts.ledger.reference import reckon
from tests.rollouts.ledger.test_laws import agree

KILLS = 20
FRAMES, PER_FRAME = 1_500, 20
CHECKOUT = Path(__file__).resolve().parents[3]

# Imports once, then forks a folder for each line it reads, so that a kill costs no start-up.
CHILD = """
import os, sys
from pathlib import Path
from rollouts.clock import utcnow
from rollouts.config import Settings
from rollouts.db import Database
from rollouts.ingest.journal import Journal
from rollouts.ledger import service
from tests.rollouts.ledger.make import UNIT_KEY

def fold():
    settings = Settings(var_dir=Path(sys.argv[1]))
    db = Database(settings.store_url)
    journal = Journal.open(settings, db)
    while True:
        folded = service.fold_once(db, journal, unit_key=UNIT_KEY, limit_events=100, now=utcnow())
        print(os.getpid(), folded.offset, flush=True)
        if folded.is_caught_up:
            return

for line in sys.stdin:
    pid = os.fork()
    if not pid:
        fold()
        os._exit(0)
    os.waitpid(pid, 0)
    print("ended", flush=True)
"""


def test_kills_while_folding_change_no_total(tmp_path: Path) -> None:
    """20 kills in the middle of folding, then the rest: sums equal plain reckoning."""
    settings = Settings(var_dir=tmp_path)
    db = Database(settings.store_url)
    Base.metadata.create_all(db.engine)
    with db.transaction() as session:
        start_rollout(session)
    journal = Journal.open(settings, db)
    draw = random.Random(1)
    history = []
    for number in range(FRAMES):
        events = []
        for place in range(PER_FRAME):
            unit = f"u{draw.randrange(3_000)}"
            if draw.random() < 0.3:
                events.append(exposure(unit, "treatment" if hash_of(unit) else "control"))
            else:
                name = draw.choice(["Contact Opened", "Order Completed"])
                message = f"{number}-{place}"
                events.append(outcome(unit, name, 1, message=message, value=draw.randrange(300)))
        history += events
        appended = journal.append_future(frame(events))
    appended.result(60)
    folders = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
    )
    for _ in range(KILLS):
        pid, _ = start_folding(folders)  # one transaction is behind it, the next one has begun
        time.sleep(draw.random() * 0.05)
        os.kill(pid, signal.SIGKILL)
        wait_for_end(folders)
        with db.reading() as session:
            assert service.offset(session) < journal.end(), "it was through before it was killed"
    start_folding(folders)
    wait_for_end(folders)
    folders.communicate()

    with db.reading() as session:
        assert service.offset(session) == FRAMES * PER_FRAME
        agree(service.sums(session, 1), reckon(history, ALL_METRICS, [at(0)]))
        assert service.verify(session) == []
    journal.close()
    db.dispose()


def hash_of(unit: str) -> bool:
    """Which half a unit belongs to."""
    return int(unit[1:]) % 2 == 1


def start_folding(folders: subprocess.Popen[str]) -> tuple[int, int]:
    """Start a process that folds a hundred events in each transaction: its id, first offset."""
    assert folders.stdin is not None
    assert folders.stdout is not None
    folders.stdin.write("fold\n")
    folders.stdin.flush()
    pid, offset = folders.stdout.readline().split()
    return int(pid), int(offset)


def wait_for_end(folders: subprocess.Popen[str]) -> None:
    """Until the folding process is gone."""
    assert folders.stdout is not None
    for line in folders.stdout:
        if line.endswith("ended\n"):
            return
    raise AssertionError("the parent of the folding processes is gone")
