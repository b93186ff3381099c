"""People and keys from the command line."""

from __future__ import annotations

import rich_click as click
from rich.table import Table

from rollouts.accounts import commands, service
from rollouts.accounts.model import KeyKind, Role
from rollouts.console import OpenParts, out, say

role_choice = click.Choice([role.value for role in (Role.READER, Role.EDITOR, Role.ADMIN)])


@click.group()
def users() -> None:
    """People: who may sign in, and what they may do."""


@users.command("list")
@click.pass_obj
def list_users(parts_of: OpenParts) -> None:
    """List people, and when they last signed in."""
    with parts_of() as parts:
        found = commands.list_users(parts.db)
    _print(("Name", "Role", "", "Signed in"), found)


@users.command("add")
@click.argument("name")
@click.option(
    "--role", type=role_choice, default="reader", show_default=True, help="What they may do."
)
@click.option("--full-name", default="", help="The name that pages show.")
@click.pass_obj
def add_user(parts_of: OpenParts, name: str, role: str, full_name: str) -> None:
    """Add a person, and print the link that signs them in for the first time."""
    with parts_of() as parts:
        link = commands.add_user(
            parts.db, parts.settings, name, Role(role), now=parts.now(), full_name=full_name
        )
    say(link)


@users.command("change")
@click.argument("name")
@click.option("--role", type=role_choice, help="What they may do from now on.")
@click.option("--disable/--enable", default=None, help="Whether they may sign in at all.")
@click.pass_obj
def change_user(parts_of: OpenParts, name: str, role: str | None, disable: bool | None) -> None:
    """Change what a person may do."""
    with parts_of() as parts:
        commands.change_user(
            parts.db,
            name,
            now=parts.now(),
            role=None if role is None else Role(role),
            is_disabled=disable,
        )
    say(f"{name} is changed.")


@click.group()
def keys() -> None:
    """Keys: for the API, and for those who send outcomes."""


@keys.command("list")
@click.pass_obj
def list_keys(parts_of: OpenParts) -> None:
    """List keys that are not revoked; their texts are kept nowhere."""
    with parts_of() as parts:
        found = commands.list_keys(parts.db)
    _print(("Id", "Kind", "Name", "Role or environment", "Used"), found)


@keys.command("add")
@click.argument("name")
@click.option(
    "--role",
    type=role_choice,
    default="editor",
    show_default=True,
    help="What the key may do; each role includes the ones before it.",
)
@click.option(
    "-e",
    "--environment",
    "environments",
    multiple=True,
    help="Change flags only there. Repeatable.  [default: everywhere]",
)
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=service.API_KEY_DAYS,
    show_default=True,
    help="How long the key is valid.",
)
@click.pass_obj
def add_key(
    parts_of: OpenParts, name: str, role: str, environments: tuple[str, ...], days: int
) -> None:
    """Make an API key and print it, this once."""
    with parts_of() as parts:
        text = commands.add_api_key(
            parts.db, name, Role(role), now=parts.now(), environments=environments, days=days
        )
    say(text)


@keys.command("add-write")
@click.argument("name")
@click.option(
    "-e", "--environment", default="production", show_default=True, help="Whose events it brings."
)
@click.option("--web", is_flag=True, help="For pages: anybody can read it, so it is trusted less.")
@click.pass_obj
def add_write_key(parts_of: OpenParts, name: str, environment: str, web: bool) -> None:
    """Make a write key for events and print it, this once."""
    kind = KeyKind.BROWSER_WRITE if web else KeyKind.SERVER_WRITE
    with parts_of() as parts:
        text = commands.add_write_key(parts.db, name, environment, kind, now=parts.now())
    say(text)


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@click.pass_obj
def revoke_key(parts_of: OpenParts, key_id: str) -> None:
    """End a key, everywhere within seconds."""
    with parts_of() as parts:
        commands.revoke_key(parts.db, key_id, now=parts.now())
    say(f"{key_id} is revoked.")


def _print(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table = Table(*titles, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    out.print(table)
