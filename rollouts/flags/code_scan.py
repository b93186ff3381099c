"""Where source files mention flags: by file and line, in a folder of source code."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence, Set
from pathlib import Path

from pathspec import GitIgnoreSpec

from rollouts.errors import RolloutsError

LARGEST_FILE = 1_000_000  # bytes
MOST_PER_FLAG = 1_000
MOST_FILES = 200_000  # that one scan reads
PROGRESS_EVERY = 2_000  # files

Rules = tuple[Path, GitIgnoreSpec]  # a folder's .gitignore

SKIPPED = frozenset(
    {"node_modules", "venv", "env", "site-packages", "__pycache__", "dist", "build", "target"}
)
_WHOLE = re.compile(r"[a-zA-Z0-9_.:|-]+")  # what a key may be made of
_PART = re.compile(r"[a-zA-Z0-9_-]+")  # inside `flags.new-checkout`, or `x:new-checkout`
_WORD = re.compile(r"^[a-z]+$")
_COMMIT = re.compile(r"^[0-9a-f]{40,64}$")
_REF = re.compile(r"^refs/(?!.*\.\.)[^\0]+$")


class TooManyFiles(RolloutsError):  # named for the refusal
    """The folder holds more than one scan reads."""

    code = "too_many_files"
    title = "Too many files"


def scan(
    folder: Path, keys: Collection[str], progress: Callable[[int], None] = lambda _: None
) -> dict[str, list[tuple[str, int]]]:
    """File and line of each mention by flag key; files as paths below the folder, with slashes.

    progress: told now and then how many files were read. Raises TooManyFiles.
    """
    found: dict[str, list[tuple[str, int]]] = {key: [] for key in keys}
    wanted = frozenset(keys)
    for n_read, path in enumerate(iterate_files(folder)):
        if n_read == MOST_FILES:
            raise TooManyFiles(
                f"{folder} holds more than {MOST_FILES:,} files that may be source code. Scan the"
                " folders that mention flags one by one, each with a --repository of its own."
            )
        if n_read and n_read % PROGRESS_EVERY == 0:
            progress(n_read)
        name = path.relative_to(folder).as_posix()
        for number, line in enumerate(_text(path).splitlines(), 1):
            for key in mentioned(line, wanted):
                if len(found[key]) < MOST_PER_FLAG:
                    found[key].append((name, number))
    return found


def mentioned(line: str, keys: Set[str]) -> set[str]:
    """The keys that a line mentions; a key that is a plain word only counts in quotes.

    >>> sorted(mentioned('if flags.is_on("checkout"): flags.new-checkout', {"checkout", "new-checkout"}))
    ['checkout', 'new-checkout']
    >>> mentioned("go to checkout, new-checkout-2", {"checkout", "new-checkout"})
    set()
    """
    found: set[str] = set()
    for match in _WHOLE.finditer(line):
        for key in {match[0], match[0].strip(".:|-"), *_PART.findall(match[0])} & keys:
            if not _WORD.match(key) or _is_quoted(line, match, key):
                found.add(key)
    return found


def _is_quoted(line: str, match: re.Match[str], key: str) -> bool:
    around = line[max(match.start() - 1, 0) : match.start()], line[match.end() : match.end() + 1]
    return match[0] == key and around[0] == around[1] and around[0] in ("'", '"', "`")


def iterate_files(folder: Path) -> Iterator[Path]:
    """Files that may be source code, leaving out what is hidden, installed, built or ignored."""
    rules = {folder: list(_rules_above(folder))}
    for here, folders, files in os.walk(folder):
        place = Path(here)
        own = [*rules.pop(place), *_rules_in(place)]
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in SKIPPED
            and not _is_ignored(place / name, own, is_folder=True)
        )
        rules |= {place / name: own for name in folders}
        for name in sorted(files):
            path = place / name
            is_wanted = not name.startswith(".") and not _is_ignored(path, own)
            if is_wanted and path.is_file() and not path.is_symlink():
                yield path


def _rules_above(folder: Path) -> Iterator[Rules]:
    """The .gitignore files above a folder that is part of a repository, the outermost first."""
    above = [folder.resolve(), *folder.resolve().parents]
    root = next((at for at, place in enumerate(above) if (place / ".git").exists()), 0)
    for place in reversed(above[1 : root + 1]):
        yield from _rules_in(place)


def _rules_in(folder: Path) -> Iterator[Rules]:
    path = folder / ".gitignore"
    if path.is_file() and path.stat().st_size <= LARGEST_FILE:
        lines = path.read_text(errors="replace").splitlines()
        yield folder, GitIgnoreSpec.from_lines(lines)


def _is_ignored(path: Path, rules: Sequence[Rules], is_folder: bool = False) -> bool:
    """By the innermost .gitignore that says anything of it, as git decides."""
    for folder, spec in reversed(rules):
        whole = path if path.is_relative_to(folder) else path.resolve()
        below = whole.relative_to(folder).as_posix()
        said = spec.check_file(f"{below}/" if is_folder else below).include
        if said is not None:
            return said
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
