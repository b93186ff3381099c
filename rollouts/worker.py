"""The worker: folds the journal, takes looks, delivers alerts, tidies up.

Each chore has a loop of its own, so that a slow webhook never delays the stop-loss.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from rollouts import telemetry
from rollouts.app import make_runtime
from rollouts.audit import service as audit
from rollouts.beats import beat
from rollouts.config import Settings
from rollouts.flags import jobs as flags
from rollouts.guard import service as guard
from rollouts.ledger import service as ledger
from rollouts.notify import service as notify
from rollouts.runtime import Runtime

log = structlog.get_logger()

BEAT_SECONDS = 2.0
LOOK_SECONDS = 0.1
SCHEDULE_SECONDS = 0.25
DELIVER_SECONDS = 0.25
TIDY_SECONDS = 600.0
HEAD_EVERY = timedelta(days=1)
PAUSE_AFTER_FAILURE_SECONDS = 1.0


class Worker:
    """The loops of one worker process, stopped together."""

    def __init__(self, parts: Runtime) -> None:
        self.parts = parts
        self.stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._head_told_at: datetime | None = None

    def start(self) -> None:
        """Start every loop; what waits in the journal is folded at once."""
        self.parts.delivery.start()
        interval = self.parts.settings.fold_interval_ms / 1000
        chores: tuple[tuple[str, Callable[[], None], float], ...] = (
            ("beat", self.beat, BEAT_SECONDS),
            ("fold", self.fold, interval),
            ("look", self.look, LOOK_SECONDS),
            ("schedule", self.publish, SCHEDULE_SECONDS),
            ("deliver", self.deliver, DELIVER_SECONDS),
            ("tidy", self.tidy, TIDY_SECONDS),
        )
        for name, chore, seconds in chores:
            thread = threading.Thread(target=self._loop, args=(name, chore, seconds), name=name)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Let every loop finish what it is doing, then close the parts."""
        self.stopping.set()
        for thread in self._threads:
            thread.join()
        self.parts.delivery.stop()
        self.parts.journal.close()
        self.parts.db.dispose()

    def beat(self) -> None:
        """Say that the worker is at work."""
        with self.parts.db.transaction() as session:
            beat(session, "worker", self.parts.now())

    def fold(self) -> None:
        """Fold until the journal's end."""
        while not self.stopping.is_set():
            folded = ledger.fold_once(
                self.parts.db,
                self.parts.journal,
                unit_key=self.parts.seal.unit_key,
                limit_events=self.parts.settings.fold_batch_events,
                now=self.parts.now(),
            )
            telemetry.FOLDED.inc(folded.events)
            if folded.is_caught_up:
                return

    def look(self) -> None:
        """Take the looks that are due."""
        telemetry.LOOKS.inc(guard.take_due_looks(self.parts, now=self.parts.now()))

    def publish(self) -> None:
        """Publish what the schedules of rules have changed."""
        flags.publish_due(self.parts.db, now=self.parts.now())

    def deliver(self) -> None:
        """Deliver the alerts that are due."""
        held = self.parts
        done = notify.deliver_due(held.db, held.seal, held.settings, now=held.now())
        telemetry.DELIVERED.inc(done)

    def tidy(self) -> None:
        """Drop raw events that were folded long ago."""
        before = self.parts.now() - timedelta(days=self.parts.settings.journal_keep_days)
        with self.parts.db.reading() as session:
            folded = ledger.offset(session)
        self.parts.journal.prune(before, folded=folded)
        ledger.prune(self.parts.db, before=before)
        self.tell_audit_head()

    def tell_audit_head(self) -> None:
        """Log the newest link of the audit chain once a day.

        A log kept elsewhere then proves that no entry up to there was cut off or rewritten.
        """
        now, told_at = self.parts.now(), self._head_told_at
        if told_at is not None and now - told_at < HEAD_EVERY:
            return
        with self.parts.db.reading() as session:
            head = audit.get_head(session)
        log.info("audit_head", id=head.id, hash=head.hash)
        self._head_told_at = now

    def _loop(self, name: str, chore: Callable[[], None], seconds: float) -> None:
        while not self.stopping.is_set():
            wait = seconds
            try:
                chore()
            except SQLAlchemyError as wrong:
                log.error("store_unreachable", chore=name, error=type(wrong).__name__)
                wait = max(seconds, PAUSE_AFTER_FAILURE_SECONDS)
            except Exception:  # one failing chore must not end the stop-loss
                log.exception("chore_failed", chore=name)
                wait = max(seconds, PAUSE_AFTER_FAILURE_SECONDS)
            self.stopping.wait(wait)


def run(settings: Settings) -> None:
    """Run a worker until it is told to stop."""
    telemetry.configure(settings)
    worker = Worker(make_runtime(settings))
    for name in ("SIGTERM", "SIGINT"):
        signal.signal(getattr(signal, name), lambda *_: worker.stopping.set())
    worker.start()
    log.info("worker_started")
    with suppress(KeyboardInterrupt):
        worker.stopping.wait()
    worker.stop()
    log.info("worker_stopped")
