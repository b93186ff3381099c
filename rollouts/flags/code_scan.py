"""Where source files mention flags: by file and line, in a folder of source code."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from fnmatch import fnmatch
from pathlib import Path

LARGEST_FILE = 1_000_000  # bytes
MOST_PER_FLAG = 1_000
SKIPPED = frozenset(
    {"node_modules", "venv", "env", "site-packages", "__pycache__", "dist", "build", "target"}
)
_WHOLE = re.compile(r"[a-zA-Z0-9_.:|-]+")  # what a key may be made of
_PART = re.compile(r"[a-zA-Z0-9_-]+")  # inside `flags.new-checkout`, or `x:new-checkout`
_WORD = re.compile(r"^[a-z]+$")
_COMMIT = re.compile(r"^[0-9a-f]{40,64}$")
_REF = re.compile(r"^refs/(?!.*\.\.)[^\0]+$")


def scan(folder: Path, keys: Collection[str]) -> dict[str, list[tuple[str, int]]]:
    """File and line of each mention by flag key; files as paths below the folder, with slashes."""
    found: dict[str, list[tuple[str, int]]] = {key: [] for key in keys}
    for path in iterate_files(folder):
        text = _text(path)
        name = path.relative_to(folder).as_posix()
        for number, line in enumerate(text.splitlines(), 1):
            for key in mentioned(line, found):
                if len(found[key]) < MOST_PER_FLAG:
                    found[key].append((name, number))
    return found


def mentioned(line: str, keys: Collection[str]) -> set[str]:
    """The keys that a line mentions; a key that is a plain word only counts in quotes.

    >>> sorted(mentioned('if flags.is_on("checkout"): flags.new-checkout', {"checkout", "new-checkout"}))
    ['checkout', 'new-checkout']
    >>> mentioned("go to checkout, new-checkout-2", {"checkout", "new-checkout"})
    set()
    """
    found: set[str] = set()
    for match in _WHOLE.finditer(line):
        for key in {match[0], match[0].strip(".:|-"), *_PART.findall(match[0])} & set(keys):
            if not _WORD.match(key) or _is_quoted(line, match, key):
                found.add(key)
    return found


def _is_quoted(line: str, match: re.Match[str], key: str) -> bool:
    around = line[max(match.start() - 1, 0) : match.start()], line[match.end() : match.end() + 1]
    return match[0] == key and around[0] == around[1] and around[0] in ("'", '"', "`")


def iterate_files(folder: Path) -> Iterator[Path]:
    """Files that may be source code, leaving out what is hidden, installed, built or ignored."""
    ignored = _ignored(folder)
    for here, folders, files in os.walk(folder):
        below = Path(here).relative_to(folder)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in SKIPPED
            and not _is_ignored(below / name, ignored)
        )
        for name in sorted(files):
            path = Path(here) / name
            is_wanted = not name.startswith(".") and not _is_ignored(below / name, ignored)
            if is_wanted and path.is_file() and not path.is_symlink():
                yield path


def _ignored(folder: Path) -> list[str]:
    """The patterns of the folder's own .gitignore; exceptions to them are not understood."""
    path = folder / ".gitignore"
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    return [line.strip() for line in lines if line.strip() and line.strip()[0] not in "#!"]


def _is_ignored(path: Path, patterns: list[str]) -> bool:
    text = path.as_posix()
    for pattern in patterns:
        bare = pattern.strip("/")
        if "/" not in bare and not pattern.startswith("/") and fnmatch(path.name, bare):
            return True
        if ("/" in bare or pattern.startswith("/")) and fnmatch(text, bare):
            return True
    return False


def _text(path: Path) -> str:
    """A file's text; nothing for one that is too large, unreadable or no text."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            return ""
        raw = path.read_bytes()
    except OSError:
        return ""
    return "" if b"\0" in raw[:8_192] else raw.decode(errors="replace")


def branch_of(folder: Path) -> str:
    """The branch that is checked out there, as far as its files tell; else `main`."""
    return _head(folder)[1].partition("refs/heads/")[2] or "main"


def commit_of(folder: Path) -> str:
    """The commit that is checked out there, as far as its files tell; else nothing."""
    git, head = _head(folder)
    if not head.startswith("ref: "):
        return head if _COMMIT.match(head) else ""
    name = head.removeprefix("ref: ")
    common = git / _read(git / "commondir")  # of a worktree; else the directory itself
    places = (git, common) if _REF.match(name) else ()
    found = next(
        filter(None, (_read(place / name) or _packed(place).get(name, "") for place in places)), ""
    )
    return found if _COMMIT.match(found) else ""


def _head(folder: Path) -> tuple[Path, str]:
    """The nearest git directory above a folder, and what its HEAD says."""
    for place in (folder.resolve(), *folder.resolve().parents):
        git = place / ".git"
        if git.is_file():  # a worktree: the file names the directory
            git = place / _read(git).removeprefix("gitdir: ")
        if (git / "HEAD").is_file():
            return git, _read(git / "HEAD")
    return folder, ""


def _packed(git: Path) -> dict[str, str]:
    lines = (line.split(" ") for line in _read(git / "packed-refs").splitlines())
    return {parts[1]: parts[0] for parts in lines if len(parts) == 2}


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
