"""Many rows at once, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Row,
    Select,
    Table,
    any_,
    bindparam,
    func,
    insert,
    select,
)
from sqlalchemy import (
    cast as sql_cast,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Session

CHUNK = 5_000  # units whose rows are held in memory at once

Rows = Sequence[Mapping[str, Any]]
Value = TypeVar("Value")


def table_of(row: type[DeclarativeBase]) -> Table:
    """The table behind a mapped class: rows by the thousand are not worth an object each."""
    return cast(Table, row.__table__)


def chunks(values: Iterable[Value], size: int = CHUNK) -> Iterator[list[Value]]:
    """The values in lists of at most `size`.

    >>> list(chunks([3, 1, 2], 2))
    [[3, 1], [2]]
    """
    held = list(values)
    for start in range(0, len(held), size):
        yield held[start : start + size]


def is_sqlite(session: Session) -> bool:
    """Which of the two stores this is."""
    return session.get_bind().dialect.name == "sqlite"


def fetch_in(
    session: Session, query: Select[Any], column: ColumnElement[int], values: Iterable[int]
) -> Iterator[Row[Any]]:
    """The query's rows whose column is among the values.

    All values go as one parameter: a list of thousands of them takes longer to put into
    words than to look up.
    """
    for chunk in chunks(values):
        matching: ColumnElement[bool]
        among: str | list[int]
        if is_sqlite(session):
            listed = func.json_each(bindparam("among")).table_valued("value")
            matching, among = (
                column.in_(select(listed.c.value)),
                msgspec.json.encode(chunk).decode(),
            )
        else:
            array = sql_cast(bindparam("among"), postgresql.ARRAY(BigInteger))
            matching, among = column == any_(array), chunk
        yield from session.execute(query.where(matching), {"among": among})


def add_rows(session: Session, row: type[DeclarativeBase], rows: Rows) -> None:
    """Insert new rows."""
    if rows:
        session.execute(insert(table_of(row)), rows)


def add_missing(session: Session, row: type[DeclarativeBase], rows: Rows) -> None:
    """Insert the rows whose key does not exist yet; what stands stays."""
    if rows:
        statement = (sqlite.insert if is_sqlite(session) else postgresql.insert)(table_of(row))
        session.execute(statement.on_conflict_do_nothing(), rows)


def upsert(
    session: Session,
    row: type[DeclarativeBase],
    rows: Rows,
    *,
    add: Sequence[str] = (),
    put: Sequence[str] = (),
) -> None:
    """Insert rows; where the key exists, add to some columns and replace others."""
    if not rows:
        return
    table = table_of(row)
    statement = (sqlite.insert if is_sqlite(session) else postgresql.insert)(table)
    new = statement.excluded
    changes = {name: table.c[name] + new[name] for name in add} | {name: new[name] for name in put}
    keys = [column.name for column in table.primary_key]
    session.execute(statement.on_conflict_do_update(index_elements=keys, set_=changes), rows)
