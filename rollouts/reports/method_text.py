"""What is said of one method on the page "How we measure"."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Method:
    """One method. `line` and `assumes` are for anyone; `statement` and `source` for the sceptic."""

    anchor: str
    name: str
    line: str
    assumes: str
    statement: str
    source: str
