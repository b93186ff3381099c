"""Metrics from the command line, on the store itself: the operator acts, and it is audited."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TextIO

import rich_click as click
from rich.table import Table

from rollouts.accounts.model import OPERATOR
from rollouts.console import OpenParts, out, say, write
from rollouts.flags.planning import carry_out
from rollouts.flags.yaml_text import dumps
from rollouts.metrics import as_code, service
from rollouts.metrics.words import kind, meaning

MOST = 10_000
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def metrics() -> None:
    """See and change the catalogue of metrics, one by one or as a file."""


@metrics.command("list")
@click.option("--search", default="", help="Only metrics whose key or name has this.")
@json_option
@click.pass_obj
def list_all(parts_of: OpenParts, search: str, as_json: bool) -> None:
    """List metrics, their kinds and what they count."""
    with parts_of() as parts, parts.db.reading() as session:
        rows = service.list_metrics(session, after=None, limit=MOST, search=search)
        found = [(row, service.get_version(session, row).to_domain()) for row in rows]
        told = {row.key: as_code.describe(session, row) for row in rows} if as_json else {}
    if as_json:
        say(json.dumps(told, indent=2))
        return
    table = Table("Metric", "Version", "Kind", "What it counts", box=None, pad_edge=False)
    for row, definition in found:
        table.add_row(row.key, str(row.version), kind(definition), meaning(definition))
    out.print(table)


@metrics.command("show")
@click.argument("key")
@json_option
@click.pass_obj
def show_metric(parts_of: OpenParts, key: str, as_json: bool) -> None:
    """Print one metric, as `rollouts metrics apply` takes it."""
    with parts_of() as parts, parts.db.reading() as session:
        held = as_code.describe(session, service.get_metric(session, key))
    shown = json.dumps(held, indent=2) if as_json else dumps({key: held})
    say(shown.rstrip())


@metrics.command("export")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def export_metrics(parts_of: OpenParts, file: Path | None) -> None:
    """Write the catalogue as YAML, to a file or to standard output."""
    with parts_of() as parts, parts.db.reading() as session:
        text = as_code.export(session)
    write(text, file)


@metrics.command("apply")
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--reason", default="", help="Why; kept with each new version.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def apply_metrics(parts_of: OpenParts, file: TextIO, reason: str, yes: bool) -> None:
    """Make metrics be as a YAML file says; those it does not name stay.

    The file holds `rollouts: metrics/1` and `metrics`, each by its key with the members of
    `POST /api/v1/metrics`. What will change is shown first. Another definition makes another
    version, and plans that are locked keep theirs.
    """
    said = as_code.parse(file.read())
    with parts_of() as parts:
        carry_out(
            parts,
            lambda session, now: as_code.apply(
                session, said, actor=OPERATOR, now=now, reason=reason or "applied from a file"
            ),
            is_asked=not yes,
        )


@metrics.command("archive")
@click.argument("key")
@click.option("--reason", required=True, help="Why; kept in the audit.")
@click.pass_obj
def archive_metric(parts_of: OpenParts, key: str, reason: str) -> None:
    """Take a metric off the catalogue; rollouts that count it go on."""
    with parts_of() as parts, parts.db.transaction() as session:
        service.archive(session, key, reason=reason, actor=OPERATOR, now=parts.now())
    say(f"{key} is off the catalogue.")
