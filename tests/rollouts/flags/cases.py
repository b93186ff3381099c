"""GrowthBook's cross-SDK cases, where a checkout has the shared folder beside it."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_FILE = Path(__file__).resolve().parents[4] / "shared" / "protocols" / "growthbook-cases.json"

without_cases = pytest.mark.skipif(
    not _FILE.exists(), reason="no shared folder beside the checkout"
)


@cache
def _all_cases() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_FILE.read_text()) if _FILE.exists() else {}
    return found


def section(name: str) -> list[Any]:
    """One section of the cases; empty without the shared folder, so that tests skip."""
    return list(_all_cases().get(name, []))
