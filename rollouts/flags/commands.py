"""Flags from the command line, on the store itself: the operator acts, and it is audited.

The running service notices each change as it notices those of its other processes.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import rich_click as click
from pydantic import ValidationError
from rich.table import Table
from sqlalchemy.orm import Session

from rollouts.accounts.model import OPERATOR
from rollouts.console import OpenParts, out, say, write
from rollouts.errors import Fault, Invalid, Malformed
from rollouts.flags import as_code, service
from rollouts.flags.bulk import Change
from rollouts.flags.carrying import OnConflict
from rollouts.flags.importing import check_sections, import_growthbook
from rollouts.flags.model import FlagState
from rollouts.flags.planning import carry_out, plan, show
from rollouts.flags.rule_json import dump_flag, load_rules

environment_option = click.option(
    "-e",
    "--environment",
    default="production",
    show_default=True,
    help="Where.",
)
reason_option = click.option("--reason", default="", help="Why; kept with the revision.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
prune_option = click.option(
    "--prune", is_flag=True, help="Archive flags that the file does not name."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def flags() -> None:
    """See and change flags: one by one, or all of them as code."""


@flags.command("list")
@click.option("--search", default="", help="Only flags whose key or description has this.")
@click.option("--archived", is_flag=True, help="Also those that are archived.")
@json_option
@click.pass_obj
def list_flags(parts_of: OpenParts, search: str, archived: bool, as_json: bool) -> None:
    """List flags, and where they are on."""
    with parts_of() as parts, parts.db.reading() as session:
        found = service.list_flags(session, search=search, with_archived=archived)
        places = [row.key for row in service.list_environments(session)]
    if as_json:
        say(json.dumps([dump_flag(flag) for flag in found], indent=2))
        return
    table = Table("Flag", "Kind", *places, "Owner", box=None, pad_edge=False)
    for flag in found:
        on = ["on" if flag.state(place).is_enabled else "off" for place in places]
        table.add_row(flag.key, flag.kind.value, *on, flag.owner)
    out.print(table)


@flags.command("show")
@click.argument("key")
@json_option
@click.pass_obj
def show_flag(parts_of: OpenParts, key: str, as_json: bool) -> None:
    """Print one flag with its rules, as YAML."""
    with parts_of() as parts, parts.db.reading() as session:
        flag = service.get_flag(session, key)
    shown = json.dumps(dump_flag(flag), indent=2) if as_json else as_code.dump_one(flag)
    say(shown.rstrip())


@flags.command("on")
@click.argument("key")
@environment_option
@reason_option
@click.pass_obj
def switch_on(parts_of: OpenParts, key: str, environment: str, reason: str) -> None:
    """Switch a flag on."""
    _switch(parts_of, key, environment, True, reason)


@flags.command("off")
@click.argument("key")
@environment_option
@reason_option
@click.pass_obj
def switch_off(parts_of: OpenParts, key: str, environment: str, reason: str) -> None:
    """Switch a flag off."""
    _switch(parts_of, key, environment, False, reason)


def _switch(parts_of: OpenParts, key: str, environment: str, enabled: bool, reason: str) -> None:
    with parts_of() as parts, parts.db.transaction() as session:
        service.set_enabled(
            session, key, environment, enabled, reason=reason, actor=OPERATOR, now=parts.now()
        )
    say(f"{key} is {'on' if enabled else 'off'} in {environment}.")


@flags.command("kill")
@click.argument("key")
@click.option("-e", "--environment", help="Only there.  [default: everywhere]")
@click.option("--reason", required=True, help="Why; kept with the revision.")
@click.pass_obj
def kill_flag(parts_of: OpenParts, key: str, environment: str | None, reason: str) -> None:
    """Switch a flag off at once, everywhere."""
    with parts_of() as parts, parts.db.transaction() as session:
        service.kill(
            session, key, environment=environment, reason=reason, actor=OPERATOR, now=parts.now()
        )
    say(f"{key} is off {'in ' + environment if environment else 'everywhere'}.")


@flags.command("set-rules")
@click.argument("key")
@click.argument("file", type=click.File(encoding="utf-8"))
@environment_option
@reason_option
@click.pass_obj
def set_rules(parts_of: OpenParts, key: str, file: TextIO, environment: str, reason: str) -> None:
    """Replace a flag's rules by those in a JSON file (`-` for standard input).

    The file holds a list, as `rollouts flags show KEY --json` prints it for an environment.
    """
    rules = _read_rules(file)
    with parts_of() as parts, parts.db.transaction() as session:
        held = service.get_flag(session, key).state(environment)
        service.set_state(
            session,
            key,
            environment,
            FlagState(held.is_enabled, held.default, rules),
            actor=OPERATOR,
            now=parts.now(),
            reason=reason,
        )
    say(f"{key} has {len(rules)} rules in {environment}.")


def _read_rules(file: TextIO) -> Any:
    try:
        return load_rules(_read_json(file))
    except ValidationError as wrong:
        faults = tuple(
            Fault(".".join(map(str, item["loc"])), item["msg"]) for item in wrong.errors()
        )
        raise Invalid("These are no rules.", faults=faults[:20]) from None


def _read_json(file: TextIO) -> Any:
    try:
        return json.load(file)
    except (ValueError, RecursionError) as wrong:
        raise Malformed(f"The file is not valid JSON: {wrong}") from None


@flags.command("export")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def export_flags(parts_of: OpenParts, file: Path | None) -> None:
    """Write every flag and saved group as YAML, to a file or to standard output."""
    with parts_of() as parts, parts.db.reading() as session:
        text = as_code.export(session)
    write(text, file)


@flags.command("diff")
@click.argument("file", type=click.File(encoding="utf-8"))
@prune_option
@click.option("--exit-code", is_flag=True, help="End with status 2 if something would change.")
@click.pass_obj
def diff_flags(parts_of: OpenParts, file: TextIO, prune: bool, exit_code: bool) -> None:
    """Show what `rollouts flags apply FILE` would change."""
    said = as_code.parse(file.read())
    with parts_of() as parts:
        changes = plan(
            parts,
            lambda session, now: as_code.apply(session, said, actor=OPERATOR, now=now, prune=prune),
        )
    show(changes)
    sys.exit(2 if changes and exit_code else 0)


@flags.command("apply")
@click.argument("file", type=click.File(encoding="utf-8"))
@prune_option
@reason_option
@yes_option
@click.pass_obj
def apply_flags(parts_of: OpenParts, file: TextIO, prune: bool, reason: str, yes: bool) -> None:
    """Make flags and saved groups be as a YAML file says; what it does not name stays.

    A flag with `archived: true` is archived, and with --prune every flag that the file does not
    name. That is in the plan, and `rollouts flags apply` with `archived: false` undoes it.
    """
    said = as_code.parse(file.read())
    with parts_of() as parts:
        carry_out(
            parts,
            lambda session, now: as_code.apply(
                session,
                said,
                actor=OPERATOR,
                now=now,
                reason=reason or "applied from a file",
                prune=prune,
            ),
            is_asked=not yes,
        )


@flags.command("import")
@click.argument("file", type=click.File(encoding="utf-8"))
@environment_option
@click.option(
    "--on-conflict",
    type=click.Choice([choice.value for choice in OnConflict]),
    default=OnConflict.REFUSE.value,
    show_default=True,
    help="What becomes of flags that are here and say something else.",
)
@yes_option
@click.pass_obj
def import_flags(
    parts_of: OpenParts, file: TextIO, environment: str, on_conflict: str, yes: bool
) -> None:
    """Make flags of a GrowthBook payload, as its `/api/features/<clientKey>` answers it.

    Notes name what is left out since it decides nothing, and what is made since it is referred to.
    """
    payload = _read_json(file)
    if not isinstance(payload, dict) or not isinstance(payload.get("features"), dict):
        raise Invalid("This is no GrowthBook payload: it has no object `features`.")
    check_sections(payload)
    told: list[str] = []

    def work(session: Session, now: datetime) -> list[Change]:
        done = import_growthbook(
            session,
            environment,
            payload["features"],
            payload.get("savedGroups") or {},
            on_conflict=OnConflict(on_conflict),
            actor=OPERATOR,
            now=now,
            reason="imported from GrowthBook",
            sections=payload,
        )
        for note in () if told else done.notes:
            say(f"Note: {note}")
        told.extend(done.notes)
        return done.changes

    with parts_of() as parts:
        carry_out(parts, work, is_asked=not yes)
