"""Tables of flags, their revisions and saved groups, and the queries they answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    String,
    Text,
    UniqueConstraint,
    cast,
    delete,
    select,
    true,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from rollouts.db import Base, BigId
from rollouts.flags import propagation_store as propagation_store
from rollouts.flags import reference_store as reference_store
from rollouts.flags import sticky_store as sticky_store
from rollouts.flags.environment_store import holds, list_environments
from rollouts.flags.model import Flag, FlagKind, FlagState, Given, SavedGroup
from rollouts.flags.rule_json import dump_rules, load_rules

MOST_NAMED: Final = 500  # rows that one query names
NO_JSON: Final = (  # columns of a flag, the id first
    "id",
    "key",
    "kind",
    "description",
    "owner",
    "revision",
    "created_at",
    "updated_at",
    "archived_at",
)
FLAGS_REMEMBERED: Final = 4_000  # as one process has read them
Item = TypeVar("Item")
_StateText = tuple[str, bool, str, str]  # environment, on or off, values, rules


class FlagRow(Base):
    """A flag without its environments; values are wrapped, since null is a value too."""

    __tablename__ = "flags"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    description: Mapped[str] = mapped_column(Text)
    owner: Mapped[str] = mapped_column(String(200), index=True)
    tags: Mapped[list[Any]]
    values: Mapped[dict[str, Any]]  # default; off, schema and metadata where given
    revision: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    archived_at: Mapped[datetime | None] = mapped_column(index=True)

    def to_domain(self, states: dict[str, FlagState]) -> Flag:
        """The flag with its states by environment key."""
        return Flag(
            key=self.key,
            kind=FlagKind(self.kind),
            default=self.values["default"],
            off=_given(self.values, "off"),
            description=self.description,
            owner=self.owner,
            tags=tuple(self.tags),
            schema=self.values.get("schema"),
            metadata=self.values.get("metadata"),
            is_archived=self.archived_at is not None,
            states=states,
            revision=self.revision,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )


class FlagStateRow(Base):
    """A flag in one environment: switched on or off, its own default, its rules in order."""

    __tablename__ = "flag_states"

    flag_id: Mapped[int] = mapped_column(ForeignKey("flags.id"), primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id"), primary_key=True)
    is_enabled: Mapped[bool]
    values: Mapped[dict[str, Any]]  # default where given
    rules: Mapped[list[Any]]
    updated_at: Mapped[datetime]

    def to_domain(self) -> FlagState:
        """The state as the model knows it."""
        return FlagState(self.is_enabled, _given(self.values, "default"), load_rules(self.rules))


class RevisionRow(Base):
    """A flag as it was after one change, and who made it why. Rows never change."""

    __tablename__ = "flag_revisions"
    __table_args__ = (UniqueConstraint("flag_id", "number"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    flag_id: Mapped[int] = mapped_column(ForeignKey("flags.id"))
    number: Mapped[int]
    action: Mapped[str] = mapped_column(String(100))
    actor_kind: Mapped[str] = mapped_column(String(20))
    actor_id: Mapped[str] = mapped_column(String(200))
    actor_name: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    snapshot: Mapped[dict[str, Any]]


class SavedGroupRow(Base):
    """A list of values of an attribute, or a condition, that rules refer to by its key."""

    __tablename__ = "saved_groups"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text)
    attribute: Mapped[str] = mapped_column(String(200))
    members: Mapped[list[Any]]
    condition: Mapped[dict[str, Any]]  # {"is": condition}, or empty for a list
    revision: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    def to_domain(self) -> SavedGroup:
        """The group as the model knows it."""
        return SavedGroup(
            key=self.key,
            name=self.name,
            attribute=self.attribute,
            values=tuple(self.members),
            condition=self.condition.get("is"),
            description=self.description,
            revision=self.revision,
        )


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of at most that size."""
    waiting = iter(items)
    while some := list(islice(waiting, size)):
        yield some


def _given(raw: dict[str, Any], name: str) -> Given | None:
    return Given(raw[name]) if name in raw else None


def find_flag_row(session: Session, key: str) -> FlagRow | None:
    """The row of a flag, archived or not."""
    return session.scalar(select(FlagRow).where(FlagRow.key == key))


def ids_of(session: Session, keys: Iterable[str]) -> dict[int, str]:
    """Keys of flags by their ids."""
    found: dict[int, str] = {}
    for some in batched(keys, MOST_NAMED):
        query = select(FlagRow.id, FlagRow.key).where(FlagRow.key.in_(some))
        found |= {row[0]: row[1] for row in session.execute(query)}
    return found


def list_flag_rows(
    session: Session, *, after: str | None, limit: int, search: str, with_archived: bool
) -> list[FlagRow]:
    """Flags by key."""
    query = (
        select(FlagRow)
        .where(holds(search, FlagRow.key, FlagRow.description))
        .order_by(FlagRow.key)
        .limit(limit)
    )
    if after is not None:
        query = query.where(FlagRow.key > after)
    if not with_archived:
        query = query.where(FlagRow.archived_at.is_(None))
    return list(session.scalars(query))


def to_flags(session: Session, rows: Sequence[FlagRow]) -> list[Flag]:
    """The flags of those rows, each with its states."""
    which = _among(FlagRow.id, [row.id for row in rows])
    found = {flag.key: flag for flag in _list_flags(session, which)}
    return [found[row.key] for row in rows]


def _among(column: Any, ids: Sequence[int]) -> ColumnElement[bool]:
    """Of these, at least: so many that they cannot all be named are nearly all there are."""
    return column.in_(ids) if len(ids) < MOST_NAMED else true()


def list_live_flags(session: Session) -> list[Flag]:
    """All flags that are not archived."""
    return _list_flags(session, FlagRow.archived_at.is_(None))


def _list_flags(session: Session, which: ColumnElement[bool]) -> list[Flag]:
    """Flags by key. What was read before is not read again: a change looks at all of them."""
    texts = cast(FlagRow.tags, Text), cast(FlagRow.values, Text)
    query = select(*(getattr(FlagRow, name) for name in NO_JSON), *texts).where(which)
    found = session.execute(query.order_by(FlagRow.key)).all()
    states = _states_by_flag(session, [row[0] for row in found])
    return [_read_flag(tuple(row), tuple(states[row[0]])) for row in found]


def _states_by_flag(session: Session, flag_ids: Sequence[int]) -> dict[int, list[_StateText]]:
    """What each flag does in each environment, as it is stored."""
    names = {row.id: row.key for row in list_environments(session)}
    found: dict[int, list[_StateText]] = {flag_id: [] for flag_id in flag_ids}
    texts = cast(FlagStateRow.values, Text), cast(FlagStateRow.rules, Text)
    query = select(
        FlagStateRow.flag_id, FlagStateRow.environment_id, FlagStateRow.is_enabled, *texts
    ).where(_among(FlagStateRow.flag_id, flag_ids))
    for flag_id, environment_id, is_enabled, values, rules in session.execute(
        query.order_by(FlagStateRow.environment_id)
    ):
        if flag_id in found:
            found[flag_id].append((names[environment_id], is_enabled, values, rules))
    return found


@lru_cache(maxsize=FLAGS_REMEMBERED)
def _read_flag(columns: tuple[Any, ...], states: tuple[_StateText, ...]) -> Flag:
    """A flag from its columns; from those that hold JSON, from their text."""
    *plain, tags, values = columns
    named = dict(zip(NO_JSON, plain, strict=True))
    row = FlagRow(**named, tags=json.loads(tags), values=json.loads(values))
    return row.to_domain({name: _read_state(*raw) for name, *raw in states})


@lru_cache(maxsize=FLAGS_REMEMBERED)
def _read_state(is_enabled: bool, values: str, rules: str) -> FlagState:
    """A state from its columns' text: many flags have the same."""
    own = _given(json.loads(values), "default")
    return FlagState(is_enabled, own, load_rules(json.loads(rules)))


def find_flag_rows(session: Session, keys: Iterable[str]) -> dict[str, FlagRow]:
    """The rows of flags, archived or not, by key, as far as there are any."""
    found: dict[str, FlagRow] = {}
    for some in batched(keys, MOST_NAMED):
        query = select(FlagRow).where(FlagRow.key.in_(some))
        found |= {row.key: row for row in session.scalars(query)}
    return found


def write_flags(session: Session, flags: Sequence[Flag], now: datetime) -> list[FlagRow]:
    """Store flags and all their states; the revision of each grows by one."""
    held = find_flag_rows(session, [flag.key for flag in flags])
    rows = [_filled(held.get(flag.key), flag, now) for flag in flags]
    session.add_all(rows)
    session.flush()
    _write_states(session, rows, flags, now)
    session.flush()
    return rows


def _filled(row: FlagRow | None, flag: Flag, now: datetime) -> FlagRow:
    row = row or FlagRow(key=flag.key, revision=0, created_at=now)
    row.kind = flag.kind.value
    row.description, row.owner, row.tags = flag.description, flag.owner, list(flag.tags)
    row.values = _flag_values(flag)
    row.revision += 1
    row.updated_at = now
    row.archived_at = (row.archived_at or now) if flag.is_archived else None
    return row


def _flag_values(flag: Flag) -> dict[str, Any]:
    return {
        "default": flag.default,
        **({} if flag.off is None else {"off": flag.off.value}),
        **({} if flag.schema is None else {"schema": dict(flag.schema)}),
        **({} if flag.metadata is None else {"metadata": dict(flag.metadata)}),
    }


def _write_states(
    session: Session, rows: Sequence[FlagRow], flags: Sequence[Flag], now: datetime
) -> None:
    """The states of those flags; they were checked against the environments before."""
    places = {row.key: row.id for row in list_environments(session)}
    held: dict[tuple[int, int], FlagStateRow] = {}
    for some in batched((row.id for row in rows), MOST_NAMED):
        query = select(FlagStateRow).where(FlagStateRow.flag_id.in_(some))
        held |= {(item.flag_id, item.environment_id): item for item in session.scalars(query)}
    for row, flag in zip(rows, flags, strict=True):
        for key, state in flag.states.items():
            known = held.get((row.id, places[key]))
            if known is None or known.to_domain() != state:
                known = known or FlagStateRow(flag_id=row.id, environment_id=places[key])
                session.add(_filled_state(known, state, now))


def _filled_state(row: FlagStateRow, state: FlagState, now: datetime) -> FlagStateRow:
    row.is_enabled = state.is_enabled
    row.values = {} if state.default is None else {"default": state.default.value}
    row.rules = dump_rules(state.rules)
    row.updated_at = now
    return row


def list_revisions(
    session: Session, flag_id: int, *, before: int | None, limit: int
) -> list[RevisionRow]:
    """A flag's revisions, newest first."""
    query = select(RevisionRow).where(RevisionRow.flag_id == flag_id)
    if before is not None:
        query = query.where(RevisionRow.number < before)
    return list(session.scalars(query.order_by(RevisionRow.number.desc()).limit(limit)))


def find_revision(session: Session, flag_id: int, number: int) -> RevisionRow | None:
    """One revision of a flag."""
    query = select(RevisionRow).where(RevisionRow.flag_id == flag_id, RevisionRow.number == number)
    return session.scalar(query)


def find_group_row(session: Session, key: str) -> SavedGroupRow | None:
    """The row of a saved group."""
    return session.scalar(select(SavedGroupRow).where(SavedGroupRow.key == key))


def list_group_rows(
    session: Session, *, after: str | None = None, limit: int | None = None, search: str = ""
) -> list[SavedGroupRow]:
    """Saved groups by key."""
    query = select(SavedGroupRow).where(holds(search, SavedGroupRow.key, SavedGroupRow.name))
    if after is not None:
        query = query.where(SavedGroupRow.key > after)
    return list(session.scalars(query.order_by(SavedGroupRow.key).limit(limit)))


def delete_group(session: Session, key: str) -> None:
    """Forget a saved group."""
    session.execute(delete(SavedGroupRow).where(SavedGroupRow.key == key))
