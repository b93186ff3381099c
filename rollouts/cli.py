"""The command line: start it, look after it, and analyse a file."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import rich_click as click
from click.exceptions import Exit
from rich.table import Table

from rollouts import __version__
from rollouts.accounts.command_line import keys, users
from rollouts.config import PREFIX, Settings
from rollouts.console import err, out
from rollouts.errors import RolloutsError
from rollouts.flags.code_commands import code_refs
from rollouts.flags.commands import flags
from rollouts.metrics.commands import metrics
from rollouts.reports.one_off.commands import analyze
from rollouts.results.commands import forecast
from rollouts.results.past_commands import impact

click.rich_click.TEXT_MARKUP = "markdown"
click.rich_click.SHOW_ARGUMENTS = True
click.rich_click.COMMAND_GROUPS = {
    "rollouts": [
        {"name": "See it", "commands": ["demo", "analyze", "forecast", "impact"]},
        {"name": "Run it", "commands": ["up", "serve", "worker", "migrate"]},
        {"name": "Flags and metrics", "commands": ["flags", "code-refs", "metrics"]},
        {"name": "Look after it", "commands": ["doctor", "settings", "verify"]},
        {"name": "Who may come in", "commands": ["link", "users", "keys"]},
    ]
}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rollouts")
@click.pass_context
def cli(context: click.Context) -> None:
    """Decide, from evidence, whether a change to the customer's experience stays.

    Flags gate the change, outcomes come in on every channel, statistics say whether it works,
    and when harm passes what you said you would tolerate, the change is withdrawn by itself.

    New here? Run `rollouts demo`. Settings are `ROLLOUTS_*` variables: `rollouts settings`.
    """
    context.obj = running_parts


for group in (analyze, flags, code_refs, metrics, forecast, impact, users, keys):
    cli.add_command(group)


def main() -> None:
    """Run the command line; a refusal is one line, not a traceback."""
    try:
        cli.main(prog_name="rollouts", standalone_mode=False)
    except Exit as end:
        sys.exit(end.exit_code)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(wrong.exit_code)
    except click.Abort:
        err.print("Stopped.")
        sys.exit(130)
    except RolloutsError as refusal:
        err.print(f"[bold]{refusal.title}.[/bold] {refusal.detail}", style="red", markup=True)
        for fault in refusal.faults:
            err.print(f"  {fault.where}: {fault.problem}", markup=False)
        sys.exit(1)


@contextmanager
def running_parts() -> Iterator[Any]:
    """The parts of the service for one command, closed afterwards."""
    from rollouts.app import make_runtime

    parts = make_runtime(Settings.from_environment())
    try:
        yield parts
    finally:
        parts.journal.close()
        parts.db.dispose()


@cli.command()
@click.option("--port", type=int, help="Port of the web server.  [default: 8765]")
@click.option("--host", help="Address to bind to.  [default: 127.0.0.1]")
@click.option(
    "--var", "var_dir", type=click.Path(path_type=Path), help="Folder of the store. [default: var]"
)
def up(port: int | None, host: str | None, var_dir: Path | None) -> None:
    """Start the service: web and worker, on the embedded store in `./var` unless told otherwise.

    The first start creates an administrator and prints a one-time sign-in link. Ctrl-C stops it
    cleanly; data survive.
    """
    from rollouts import first_start
    from rollouts.app import make_runtime
    from rollouts.supervisor import Supervisor

    given: dict[str, Any] = {"port": port, "host": host, "var_dir": var_dir}
    settings = Settings.from_environment(
        None, **{name: value for name, value in given.items() if value is not None}
    )
    parts = make_runtime(settings)
    link = first_start.prepare(parts)
    parts.journal.close()
    parts.db.dispose()
    supervisor = Supervisor(settings)
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: supervisor.request_stop())
    supervisor.start()
    out.print(f"Rollouts {__version__} is starting at [bold]{settings.base_url}[/bold]")
    if link:
        out.print("Nobody has signed in yet. This link signs the administrator in, once:")
        out.print(f"  [bold]{link}[/bold]", soft_wrap=True)
    out.print("Ctrl-C stops it.")
    supervisor.watch(lambda said: err.print(said, style="yellow"))
    out.print("Stopping ...")
    supervisor.stop()
    out.print("Stopped. Nothing that was accepted is lost.")


@cli.command()
def serve() -> None:
    """Run one web process in the foreground (`rollouts up` runs it for you)."""
    from rollouts.web.server import serve as run

    run(Settings.from_environment())


@cli.command()
def worker() -> None:
    """Run one worker in the foreground (`rollouts up` runs it for you)."""
    from rollouts.worker import run

    run(Settings.from_environment())


@cli.command()
def migrate() -> None:
    """Bring the store's schema up to date."""
    from rollouts import schema
    from rollouts.db import Database

    db = Database(Settings.from_environment().store_url)
    schema.upgrade(db)
    db.dispose()
    out.print("The schema is up to date.")


@cli.command()
@click.option(
    "--harm",
    type=click.Choice(["real", "none"]),
    default="real",
    show_default=True,
    help="Whether the change really harms customers.",
)
@click.option(
    "--exit",
    "exit_at_once",
    is_flag=True,
    help="End when the story has; status 0 only if it ended as it should.",
)
@click.option("--seed", default=7, show_default=True, help="Seed of the simulated customers.")
@click.option("--port", type=int, help="Port of the web server.  [default: a free one]")
def demo(harm: str, exit_at_once: bool, seed: int, port: int | None) -> None:
    """See a change withdrawn by itself, in about two minutes.

    A guided returns page lifts orders, but contacts to support rise more. The real service is
    started in `./var/demo`; simulated customers use the real GrowthBook SDK against it.
    """
    from rollouts.demo.story import run

    sys.exit(run(out, harm=harm == "real", exit_at_once=exit_at_once, seed=seed, port=port))


@cli.command()
def settings() -> None:
    """List every setting, its value now, and what it is for."""
    held = Settings.from_environment()
    table = Table("Variable", "Now", "What it is for", box=None, pad_edge=False)
    for item in fields(held):
        value = getattr(held, item.name)
        shown = "(set)" if item.metadata.get("secret") and value else str(value) or "-"
        table.add_row(PREFIX + item.name.upper(), shown, item.metadata["help"])
    out.print(table)


@cli.command()
def doctor() -> None:
    """Check that the service can do its work, and name what was loosened."""
    from rollouts.doctor import examine

    with running_parts() as parts:
        findings = examine(parts)
    for finding in findings:
        mark = {"ok": "[green]ok  [/]", "note": "[yellow]note[/]", "bad": "[red]bad [/]"}
        out.print(f"{mark[finding.state]} {finding.text}")
    sys.exit(1 if any(finding.state == "bad" for finding in findings) else 0)


@cli.command()
@click.argument("name", default="admin")
def link(name: str) -> None:
    """Print a fresh one-time sign-in link for a person."""
    from rollouts.accounts import service as accounts
    from rollouts.accounts.model import OPERATOR

    with running_parts() as parts, parts.db.transaction() as session:
        user = accounts.get_user(session, name)
        token = accounts.create_link(session, user, actor=OPERATOR, now=parts.now())
        out.print(accounts.link_address(parts.settings, token), soft_wrap=True)


@cli.command()
def verify() -> None:
    """Check that the audit chain is whole, and that every total equals a full recount."""
    from rollouts.audit import service as audit
    from rollouts.ledger import service as ledger

    with running_parts() as parts:
        ledger.catch_up(parts.db, parts.journal, unit_key=parts.seal.unit_key, now=parts.now())
        with parts.db.reading() as session:
            broken = audit.verify(session)
            differences = ledger.verify(session)
    out.print(
        "The audit chain is whole."
        if broken is None
        else f"[red]The audit chain breaks at entry {broken}.[/]"
    )
    out.print(
        "Every total equals its recount."
        if not differences
        else f"[red]{len(differences)} totals differ from their recount:[/]"
    )
    for difference in differences[:20]:
        out.print(f"  {difference}", markup=False)
    sys.exit(1 if broken is not None or differences else 0)
