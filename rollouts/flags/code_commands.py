"""Telling the service where source code mentions flags."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import requests
import rich_click as click

from rollouts.config import Settings
from rollouts.console import say
from rollouts.errors import RolloutsError
from rollouts.flags.code_scan import branch_of, commit_of, scan

SECONDS = 30


class ServiceRefused(RolloutsError):
    """The service did not take what was sent, or cannot be reached."""

    code = "service_refused"
    title = "The service did not take it"


@click.group("code-refs")
def code_refs() -> None:
    """Where flags are mentioned in source code, for those who clean up after a decision."""


@code_refs.command("scan")
@click.argument(
    "path", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path()
)
@click.option(
    "--url", default="http://127.0.0.1:8765", show_default=True, help="Address of the service."
)
@click.option(
    "--key-file",
    type=click.File(encoding="utf-8"),
    help="File with an editor's API key (`-` for standard input).  [default: the setting"
    " ROLLOUTS_API_KEY]",
)
@click.option("--repository", help="What to call the code.  [default: the folder's name]")
@click.option("--branch", help="Which branch it is.  [default: the one checked out]")
@click.option("--dry-run", is_flag=True, help="Print what is found; send nothing.")
def scan_code(
    path: Path,
    url: str,
    key_file: TextIO | None,
    repository: str | None,
    branch: str | None,
    dry_run: bool,
) -> None:
    """Find every flag in a folder of source code, and tell the service file and line.

    Hidden files, what any .gitignore leaves out, installed packages, binary files and those above
    1 MB are skipped; of more than 200,000 files, scan parts.
    What the scan before told of the same repository and branch is replaced.
    """
    service = _Service(url, _key(key_file))
    found = scan(
        path,
        list(service.iterate_keys()),
        lambda n: click.echo(f"{n:,} files read ...", err=True),
    )
    where = {
        "repository": repository or path.resolve().name,
        "branch": branch or branch_of(path),
        "commit": commit_of(path),
    }
    for key, references in sorted(found.items()):
        for file, line in references:
            say(f"{key}: {file}:{line}")
        if not dry_run:
            listed = [{"file": file, "line": line} for file, line in references]
            service.call("POST", f"/flags/{key}/code-references", {**where, "references": listed})
    n = sum(map(len, found.values()))
    say(f"{n} mentions of {sum(map(bool, found.values()))} of {len(found)} flags.")


def _key(file: TextIO | None) -> str:
    """The key in a file, or in the settings: never on the command line, where others see it."""
    key = file.read().strip() if file is not None else Settings.from_environment().api_key
    if not key:
        raise click.UsageError("Give an editor's API key: by --key-file, or as ROLLOUTS_API_KEY.")
    return key


class _Service:
    """The API of a running service."""

    def __init__(self, url: str, key: str) -> None:
        self._base = url.rstrip("/") + "/api/v1"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {key}"

    def iterate_keys(self) -> Iterator[str]:
        """Keys of all flags that are not archived."""
        cursor: str | None = None
        while True:
            query = {"limit": "500", **({"cursor": cursor} if cursor else {})}
            page = self.call("GET", "/flags", query=query)
            yield from (item["key"] for item in page["items"])
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def call(
        self, method: str, path: str, body: Any = None, query: dict[str, str] | None = None
    ) -> Any:
        """What the service answers. Raises ServiceRefused."""
        try:
            answer = self._session.request(
                method, self._base + path, json=body, params=query, timeout=SECONDS
            )
            told = answer.json()
        except (requests.RequestException, ValueError) as wrong:
            raise ServiceRefused(f"{self._base} cannot be reached: {wrong}") from None
        if not answer.ok:
            raise ServiceRefused(str(told.get("detail", answer.status_code)))
        return told
