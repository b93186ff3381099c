"""A table that was sent to the service: answered from a file that is gone when the answer is."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import BoundedSemaphore
from typing import Any

from rollouts.errors import Invalid, TooMany
from rollouts.reports.one_off.answer import answer_file

AT_ONCE = 2  # analyses in one process: each may keep a core busy
MOST_METRICS, MOST_COLUMNS = 50, 5
# Where the API calls an option by another name than the command line does.
FIELDS = {
    "--metric": "metrics",
    "--segment": "segments",
    "--limit": "limits",
    "--goal": "goals",
    "--watch": "watched",
    "--covariate": "covariates",
    "--stratify": "strata",
}
_turns = BoundedSemaphore(AT_ONCE)


def answer_text(given: Mapping[str, Any], *, text: str, name: str) -> dict[str, Any]:
    """The report on a CSV text. Nothing of it is kept. Raises Invalid, TooMany."""
    _check_size(given)
    if not _turns.acquire(blocking=False):
        raise TooMany(
            f"{AT_ONCE} analyses are running already. Ask again in a few seconds.",
            retry_after_seconds=5,
        )
    try:
        with TemporaryDirectory(prefix="rollouts-") as folder:
            file = Path(folder) / "sent.csv"
            file.write_bytes(text.encode("utf-8", "replace"))
            return answer_file(given, file=file, name=name)
    except Invalid as wrong:
        raise _by_field(wrong) from None
    finally:
        _turns.release()


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of names and values as CSV text; a column that a row lacks is missing there."""
    columns = dict.fromkeys(name for row in rows for name in row)
    out = io.StringIO()
    table = csv.DictWriter(out, list(columns))
    table.writeheader()
    table.writerows(rows)
    return out.getvalue()


def _check_size(given: Mapping[str, Any]) -> None:
    for name, most in (
        ("metrics", MOST_METRICS),
        ("segments", MOST_COLUMNS),
        ("covariates", MOST_COLUMNS),
    ):
        if len(given.get(name) or ()) > most:
            raise Invalid(
                f"{name}: at most {most} in one request. `rollouts analyze` takes more, on a file."
            )


def _by_field(wrong: Invalid) -> Invalid:
    """The same refusal with the request's own names."""
    detail = wrong.detail
    for option, field in FIELDS.items():
        detail = detail.replace(option, field)
    faults = tuple(
        replace(
            fault, where=FIELDS.get(fault.where, fault.where.removeprefix("--").replace("-", "_"))
        )
        for fault in wrong.faults
    )
    return Invalid(detail, faults=faults)
