"""The list of flags: what is searched and chosen, and each flag in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from rollouts.flags import service as flags
from rollouts.flags import staleness
from rollouts.flags.model import Flag
from rollouts.reports.rule_words import RuleWords, rule_words, served, value

if TYPE_CHECKING:
    from rollouts.flags.environment_store import EnvironmentRow

PAGE = 25
STALE_DAYS = 30  # as the API takes it, unless somebody asks otherwise
NOBODY = "–"  # chosen for flags without an owner


@dataclass(frozen=True, slots=True)
class Place:
    """A flag in one environment."""

    key: str
    name: str
    is_enabled: bool
    served: str
    default: str
    rules: tuple[RuleWords, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which flags: words in key or description, and what they must have."""

    search: str = ""
    tag: str = ""
    owner: str = ""
    on_in: str = ""  # an environment in which it is switched on
    off_in: str = ""
    state: str = ""  # "stale" or "archived"; else all that are not archived

    @property
    def is_plain(self) -> bool:
        """Whether all flags are wanted."""
        return self == Wanted()

    def to_query(self) -> dict[str, Any]:
        """The same as members of an address; what is not asked is left out."""
        held = {name: getattr(self, name) for name in self.__slots__}
        return {name: text or None for name, text in held.items()}


@dataclass(frozen=True, slots=True)
class FlagLine:
    """One flag in the list."""

    flag: Flag
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class FlagList:
    """One page of flags, and what can be chosen."""

    environments: Sequence[EnvironmentRow]
    lines: tuple[FlagLine, ...]
    next_after: str | None
    n_found: int
    owners: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def owner_choices(self) -> list[tuple[str, str]]:
        """What can be chosen as the owner, as value and word."""
        return [(NOBODY, "No owner"), *((owner, owner) for owner in self.owners)]

    @property
    def tag_choices(self) -> list[tuple[str, str]]:
        """What can be chosen as the tag."""
        return [(tag, tag) for tag in self.tags]

    @property
    def on_choices(self) -> list[tuple[str, str]]:
        """Where a flag may be switched on."""
        return [(row.key, f"On in {row.name}") for row in self.environments]

    @property
    def off_choices(self) -> list[tuple[str, str]]:
        """Where a flag may be switched off."""
        return [(row.key, f"Off in {row.name}") for row in self.environments]


def list_flags(session: Session, wanted: Wanted, *, after: str | None, now: datetime) -> FlagList:
    """Flags by key, each with what it serves in every environment."""
    environments = flags.list_environments(session)
    everything = flags.list_flags(session, with_archived=True)
    found = find_flags(session, everything, wanted, now=now)
    rest = [flag for flag in found if after is None or flag.key > after]
    shown = rest[:PAGE]
    return FlagList(
        environments,
        tuple(FlagLine(flag, places_of(flag, environments)) for flag in shown),
        shown[-1].key if len(rest) > PAGE else None,
        len(found),
        tuple(sorted({flag.owner for flag in everything if flag.owner})),
        tuple(sorted({tag for flag in everything for tag in flag.tags})),
    )


def find_flags(
    session: Session, everything: Iterable[Flag], wanted: Wanted, *, now: datetime
) -> list[Flag]:
    """Those that fit, by key."""
    stale: set[str] = set()
    if wanted.state == "stale":
        told = staleness.find_reasons(session, days=STALE_DAYS, now=now)
        stale = {flag.key for flag, _ in told}
    return [
        flag
        for flag in everything
        if flag.is_archived == (wanted.state == "archived")
        and (wanted.state != "stale" or flag.key in stale)
        and _fits(flag, wanted)
    ]


def _fits(flag: Flag, wanted: Wanted) -> bool:
    words = wanted.search.casefold()
    return (
        any(words in text.casefold() for text in (flag.key, flag.description))
        and (not wanted.tag or wanted.tag in flag.tags)
        and (not wanted.owner or (flag.owner or NOBODY) == wanted.owner)
        and (not wanted.on_in or flag.state(wanted.on_in).is_enabled)
        and (not wanted.off_in or not flag.state(wanted.off_in).is_enabled)
    )


def places_of(flag: Flag, environments: Sequence[EnvironmentRow]) -> tuple[Place, ...]:
    """A flag in every environment, in words."""
    return tuple(
        Place(
            key=row.key,
            name=row.name,
            is_enabled=flag.state(row.key).is_enabled,
            served=served(flag, row.key),
            default=value(flag.default_in(row.key)),
            rules=tuple(rule_words(rule) for rule in flag.state(row.key).rules),
        )
        for row in environments
    )


def rows_of(found: Iterable[Flag], environments: Sequence[EnvironmentRow]) -> Iterable[list[Any]]:
    """The list as rows of a table, its heads first."""
    keys = [row.key for row in environments]
    heads = [f"{key}_{what}" for key in keys for what in ("on", "served")]
    yield ["key", "kind", "description", "owner", "tags", "revision", "changed_at", *heads]
    for flag in found:
        cells = [cell for key in keys for cell in (flag.state(key).is_enabled, served(flag, key))]
        own = [flag.key, flag.kind.value, flag.description, flag.owner, ", ".join(flag.tags)]
        yield [*own, flag.revision, flag.updated_at, *cells]
