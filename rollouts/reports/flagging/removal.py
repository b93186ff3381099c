"""The note for those who take a flag out of the code: what to put there, where, and how known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from rollouts.flags import service as flags
from rollouts.flags import staleness
from rollouts.flags.model import Flag
from rollouts.web import formatting as say

if TYPE_CHECKING:
    from datetime import datetime

    from rollouts.flags.reference_store import CodeReferenceRow, CodeScanRow

PAGE = 100
MOST_TOLD = 1_000  # lines of code in the text; the CSV has all


@dataclass(frozen=True, slots=True)
class Note:
    """What is known of a flag in the code, and what to do about it."""

    flag: Flag
    reasons: tuple[staleness.Reason, ...]
    removal: str  # in a sentence
    references: tuple[CodeReferenceRow, ...]
    scans: tuple[CodeScanRow, ...]

    @property
    def is_wanted(self) -> bool:
        """Whether there is any reason to take the flag out."""
        return bool(self.reasons)

    @property
    def n_files(self) -> int:
        """Files that mention the flag."""
        return len({(row.repository, row.branch, row.file) for row in self.references})


def get_note(session: Session, key: str, *, days: int, now: datetime) -> Note:
    """The note for one flag. Raises NotFound."""
    flag = flags.get_flag(session, key)
    places = [row.key for row in flags.list_environments(session)]
    told = staleness.find_reasons(session, days=days, now=now)
    references = tuple(staleness.list_code_references(session, key))
    return Note(
        flag=flag,
        reasons=next((found for item, found in told if item.key == key), ()),
        removal=staleness.removal(flag, places, references),
        references=references,
        scans=tuple(staleness.list_code_scans(session, key)),
    )


def to_text(note: Note) -> str:
    """The note as plain text, for a ticket."""
    lines = [f"Remove the flag {note.flag.key}", "", note.removal]
    lines += [f"- {reason.text}" for reason in note.reasons]
    lines += ["", *_scanned(note.scans)]
    lines += [f"{place}:{row.line}" for place, row in _places(note.references)]
    return "\n".join(lines) + "\n"


def to_markdown(note: Note) -> str:
    """The note as Markdown, for an issue or a pull request."""
    lines = [f"## Remove the flag {_code(note.flag.key)}", "", _escaped(note.removal), ""]
    lines += [f"- {_escaped(reason.text)}" for reason in note.reasons]
    lines += ["", *map(_escaped, _scanned(note.scans)), ""]
    lines += [f"- [ ] {_code(f'{place}:{row.line}')}" for place, row in _places(note.references)]
    return "\n".join(lines) + "\n"


def _scanned(scans: Sequence[CodeScanRow]) -> list[str]:
    if not scans:
        return ["No scan yet: run `rollouts code-refs scan PATH`."]
    return [
        f"Scanned {scan.repository}, branch {scan.branch}{_commit(scan)},"
        f" on {say.exactly(scan.scanned_at)}."
        for scan in scans
    ]


def _commit(scan: CodeScanRow) -> str:
    return f", commit {scan.commit[:12]}" if scan.commit else ""


def _places(references: Sequence[CodeReferenceRow]) -> list[tuple[str, CodeReferenceRow]]:
    is_one = len({(row.repository, row.branch) for row in references}) == 1
    return [
        (row.file if is_one else f"{row.repository}/{row.branch}: {row.file}", row)
        for row in references[:MOST_TOLD]
    ]


def _code(text: str) -> str:
    """Text between backticks, however many it holds itself."""
    fence = "`" * (max((len(run) for run in _runs(text)), default=0) + 1)
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _runs(text: str) -> list[str]:
    return "".join(c if c == "`" else " " for c in text).split()


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\*_[]<>#|" else c for c in text)
