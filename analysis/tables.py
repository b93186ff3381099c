"""Tables of units, as Ibis on DuckDB reads them: columns found, numbers understood, text told."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import ibis

LARGE = 500_000_000  # bytes of a file, packed or not, that is not taken into memory
FIRST_ROWS = 20_000
TYPES = ["BIGINT", "DOUBLE", "DATE", "TIMESTAMP", "VARCHAR"]  # yes and no stay words
YES, NO = ("true", "t", "yes", "y"), ("false", "f", "no", "n")
NOTHING = ("", "na", "n/a", "nan", "null", "-", "?")  # text that stands for a missing value
ALL_ROWS = "*"  # a column that is 1 in every row, for counting them
MOST_LEVELS = 20  # of an attribute that becomes indicators


@contextmanager
def opened(source: str | Path | Any) -> Iterator[Any]:
    """The table of a source, read once, and its connection closed afterwards.

    source: an Ibis table, or the path of a CSV or Parquet file. A column `*` of ones is added.
    Raises ValueError for a file that is no such table.

    >>> with opened(ibis.memtable({"won": [0, 1]})) as table:
    ...     sorted(table.columns)
    ['*', 'won']
    """
    try:
        table = read(source)
    except duckdb.Error as wrong:
        raise ValueError(f"the file cannot be read as a table ({_first_line(wrong)})") from None
    if not table.columns:
        raise ValueError("the file has no columns")
    try:
        yield table.mutate(**{ALL_ROWS: ibis.literal(1.0)})
    except duckdb.Error as wrong:
        raise ValueError(f"the file cannot be read to its end ({_first_line(wrong)})") from None
    finally:
        if isinstance(source, str | Path):
            table.get_backend().disconnect()


def read(source: str | Path | Any) -> Any:
    """An Ibis table of a CSV or Parquet file (compressed or not); a table is given back as it is.

    Columns are numbers, dates, times or text; yes and no, true and false stay as they were written.
    Raises ValueError for another kind of file and FileNotFoundError for none.
    source: the file's path.

    >>> read("sheet.xlsx")
    Traceback (most recent call last):
    FileNotFoundError: sheet.xlsx
    """
    if not isinstance(source, str | Path):
        return source
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(path)
    is_parquet = bool({".parquet", ".pq"} & set(path.suffixes))
    if not is_parquet and not {".csv", ".tsv", ".txt"} & set(path.suffixes):
        raise ValueError(f"source: neither CSV nor Parquet: {path.name}")
    database = ibis.duckdb.connect()
    try:
        return database.read_parquet(path) if is_parquet else _of_csv(database, path)
    except duckdb.Error:
        database.disconnect()
        raise


def _of_csv(database: Any, path: Path) -> Any:
    """A CSV file as a table, read once; a huge one is left where it lies and read as needed.

    Types are taken from the first rows, and from all where a later row does not fit them.
    """
    if path.stat().st_size > LARGE:
        return database.read_csv(path, sample_size=-1, header=True, auto_type_candidates=TYPES)
    text, types = str(path).replace("'", "''"), ", ".join(f"'{name}'" for name in TYPES)
    for rows in (FIRST_ROWS, -1):
        try:
            database.raw_sql(
                f"CREATE TABLE held AS SELECT * FROM read_csv('{text}', header = true, "
                f"sample_size = {rows}, auto_type_candidates = [{types}])"
            )
        except duckdb.Error:
            if rows < 0:
                raise
        else:
            break
    return database.table("held")


def check_columns(table: Any, columns: Sequence[str]) -> None:
    """Raise ValueError naming the first column that the table does not have.

    >>> check_columns(ibis.memtable({"won": [0, 1]}), ["won"])
    """
    for column in columns:
        if column not in table.columns:
            there = ", ".join(name for name in table.columns if name != ALL_ROWS)
            raise ValueError(f"no column {column!r}; there are: {there}")


def number(table: Any, column: str) -> Any:
    """A column as numbers; NaN counts as missing, true and yes as 1, NA and the like as missing.

    Raises ValueError for another type, or for text that is no number, with an example.

    >>> table = ibis.memtable({"won": [True, False]})
    >>> table.select(n=number(table, "won")).to_pyarrow()["n"].to_pylist()
    [1.0, 0.0]
    """
    kind = table[column].type()
    if kind.is_string():
        odd = _words(table, column).limit(1).to_pyarrow().to_pylist()
        if odd:
            text = str(odd[0]["text"])[:40]
            raise ValueError(f"column {column!r} does not hold numbers but text such as {text!r}")
        return _parsed(table[column])
    if not (kind.is_numeric() or kind.is_boolean() or kind.is_null()):
        raise ValueError(f"column {column!r} does not hold numbers")
    value = table[column].cast("float64")
    return value.isnan().ifelse(None, value)


def is_text(table: Any, column: str) -> bool:
    """Whether a column holds words, not numbers written as text.

    table: an Ibis table.

    >>> is_text(ibis.memtable({"size": ["2", "NA"], "city": ["Bath", "2"]}), "size")
    False
    """
    held = table[column]
    if not held.type().is_string():
        return False
    return bool(_words(table, column).count().to_pyarrow().as_py())


def numeric(table: Any, columns: Sequence[str]) -> Any:
    """The table with numbers that were written as text made numbers; NA and the like are missing.

    Raises ValueError naming a column that is absent, or holds other text, with an example.

    >>> table = numeric(ibis.memtable({"size": ["2", "NA"]}), ["size"])
    >>> table.to_pyarrow()["size"].to_pylist()
    [2.0, None]
    """
    check_columns(table, columns)
    wanted = dict.fromkeys(columns)
    return table.mutate(**{column: number(table, column) for column in wanted}) if wanted else table


def _words(table: Any, column: str) -> Any:
    """Rows of a text column that are neither numbers nor stand for nothing."""
    held = table[column]
    is_nothing = held.strip().lower().isin(NOTHING)
    kept = table.filter(held.notnull() & ~is_nothing & _parsed(held).isnull())
    return kept.select(text=kept[column])


def _parsed(column: Any) -> Any:
    """Text as a number, yes as 1 and no as 0; null for what is neither."""
    word = column.strip().lower()
    number_ = ibis.cases(
        (word.isin(NOTHING), None),
        (word.isin(YES), 1.0),
        (word.isin(NO), 0.0),
        else_=column.strip().try_cast("float64"),
    )
    return number_.cast("float64")


def indicators(table: Any, column: str) -> tuple[Any, list[str]]:
    """A 0/1 column for each value of a text column but the commonest, and their names.

    Raises ValueError with more than 20 values: an attribute so fine explains nothing.

    >>> table, names = indicators(ibis.memtable({"plan": ["free", "free", "paid"]}), "plan")
    >>> names, table.to_pyarrow()["plan=paid"].to_pylist()
    (['plan=paid'], [0.0, 0.0, 1.0])
    """
    values = values_of(table, column, most=MOST_LEVELS)
    text = table[column].cast("string")
    added = {
        f"{column}={value}": (text == value).fill_null(False).cast("float64")
        for value in values[1:]
    }
    return table.mutate(**added), list(added)


def values_of(table: Any, column: str, *, most: int) -> list[str]:
    """The values of a column as text, the commonest first, without missing ones.

    Raises ValueError if there are more than `most`.
    table: an Ibis table.

    >>> values_of(ibis.memtable({"plan": ["free", "paid", "free"]}), "plan", most=5)
    ['free', 'paid']
    """
    check_columns(table, (column,))
    text = table.filter(table[column].notnull()).select(value=table[column].cast("string"))
    seen = text.group_by("value").agg(n=text.count())
    held = seen.order_by(ibis.desc("n"), "value").limit(most + 1).to_pyarrow()["value"].to_pylist()
    if len(held) > most:
        raise ValueError(f"column {column!r} has more than {most} values; group them first")
    return [str(value) for value in held]


def _first_line(wrong: Exception) -> str:
    return str(wrong).strip().splitlines()[0][:200] if str(wrong).strip() else "unreadable"
