"""The parts of one running process, for whoever needs more than a session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from rollouts.clock import utcnow
from rollouts.config import Settings
from rollouts.db import Database
from rollouts.quotas import Quotas

if TYPE_CHECKING:
    from rollouts.accounts.keyring import KeyRing
    from rollouts.flags.delivery import Delivery
    from rollouts.ingest.journal import Journal
    from rollouts.notify.sealing import Seal


@dataclass(slots=True)
class Runtime:
    """Store, journal, delivery and secrets, made once by `create_app` or the worker."""

    settings: Settings
    db: Database
    journal: Journal
    delivery: Delivery
    seal: Seal
    keys: KeyRing
    now: Callable[[], datetime] = field(default=utcnow)
    quotas: Quotas = field(init=False)

    def __post_init__(self) -> None:
        self.quotas = Quotas(self.settings)
