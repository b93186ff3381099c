"""The command line: what an operator does to flags, people and keys on the store itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask

from rollouts import first_start
from rollouts.accounts.model import OPERATOR
from rollouts.cli import cli
from rollouts.config import Settings
from rollouts.flags import code_commands, code_scan, service
from rollouts.flags.code_scan import TooManyFiles, branch_of, scan
from rollouts.flags.model import Mode, Options
from rollouts.runtime import Runtime
from rollouts.supervisor import to_environment
from tests.conftest import ADMIN_KEY

Run = Callable[..., Result]
GOLDEN = Path(__file__).parents[1] / "golden" / "growthbook_shop_payload.json"

FILE = """
rollouts: flags/1
flags:
  f:
    environments:
      production: {rules: [{type: force, value: true, condition: {country: NZ}}]}
"""


@pytest.fixture
def run(parts: Runtime, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command run on the store of this test."""
    first_start.prepare(parts)
    for name, value in to_environment(settings).items():
        monkeypatch.setenv(name, value)

    def run(*words: str, said: str = "", status: int = 0) -> Result:
        found = CliRunner().invoke(cli, words, input=said)
        assert found.exit_code == status, (found.output, found.exception)
        return found

    return run


def test_a_flag_from_export_to_kill(run: Run, tmp_path: Path):
    """Applied from a file, shown, switched, killed, each time in the store and the audit."""
    file = tmp_path / "flags.yaml"
    file.write_text(FILE)

    assert "+ flag f" in run("flags", "diff", str(file), "--exit-code", status=2).output
    assert "Nothing" not in run("flags", "diff", str(file)).output
    assert "f" not in run("flags", "list").output.split()
    assert "Changed 1 flag." in run("flags", "apply", str(file), "--yes").output
    run("flags", "diff", str(file), "--exit-code")
    assert "Nothing to change." in run("flags", "apply", str(file)).output

    run("flags", "off", "f", "-e", "staging", "--reason", "not there")
    run("flags", "kill", "f", "--reason", "broken")
    held = json.loads(run("flags", "show", "f", "--json").output)
    assert [place["enabled"] for place in held["environments"].values()] == [False, False]
    run("flags", "on", "f")
    assert run("flags", "list").output.splitlines()[1].split() == ["f", "boolean", "on", "off"]


def test_a_change_reaches_the_running_service(run: Run, parts: Runtime, tmp_path: Path):
    """Which notices it as it notices those of its own processes."""
    file = tmp_path / "flags.yaml"
    file.write_text(FILE)
    run("flags", "apply", str(file), "--yes")
    with parts.db.transaction() as session:
        made = service.create_connection(
            session,
            name="web",
            environment="production",
            mode=Mode.PLAIN,
            options=Options(),
            actor=OPERATOR,
            now=parts.now(),
        )
        client_key = made.client_key
    parts.delivery.start()
    assert b"rules" in _served(parts, client_key)

    run("flags", "kill", "f", "--reason", "broken")

    until = time.monotonic() + 20
    while b"rules" in _served(parts, client_key) and time.monotonic() < until:
        time.sleep(0.02)
    assert b"rules" not in _served(parts, client_key)


def _served(parts: Runtime, client_key: str) -> bytes:
    held = parts.delivery.current(client_key)
    assert held is not None
    return held.served.body


def test_what_was_exported_can_be_applied(run: Run, tmp_path: Path):
    """Also what another service's flags have become."""
    run("flags", "import", str(GOLDEN), "--yes")
    file = tmp_path / "flags.yaml"
    run("flags", "export", str(file))

    assert file.read_text().rstrip() == run("flags", "export").output.rstrip()
    run("flags", "diff", str(file), "--exit-code")
    run("flags", "diff", "-", "--exit-code", said=file.read_text())
    assert "Nothing to change." in run("flags", "import", str(GOLDEN)).output


def test_a_person_who_says_no_changes_nothing(run: Run, tmp_path: Path):
    """The plan is shown before the question."""
    file = tmp_path / "flags.yaml"
    file.write_text(FILE)

    assert "+ flag f" in run("flags", "apply", str(file), said="n\n", status=1).output
    assert json.loads(run("flags", "list", "--json").output) == []
    run("flags", "apply", str(file), said="y\n")
    assert [flag["key"] for flag in json.loads(run("flags", "list", "--json").output)] == ["f"]


def test_rules_are_set_from_json(run: Run, tmp_path: Path):
    """As `show --json` prints them; rules that are none are refused by their place."""
    file = tmp_path / "flags.yaml"
    file.write_text(FILE)
    run("flags", "apply", str(file), "--yes")

    rules = json.dumps([{"type": "percentage", "value": True, "share": 0.25}])
    run("flags", "set-rules", "f", "-", said=rules)
    held = json.loads(run("flags", "show", "f", "--json").output)
    assert held["environments"]["production"]["rules"][0]["share"] == 0.25
    assert "share: 0.25" in run("flags", "show", "f").output
    for wrong in ("[{}]", "{", '[{"type": "force", "value": 3}]'):
        run("flags", "set-rules", "f", "-", said=wrong, status=1)


def test_people_and_keys(run: Run, app: Flask):
    """Added, changed and ended; a key's text is printed once and works at once."""
    assert run("users", "add", "ada", "--role", "editor").output.startswith("http")
    run("users", "change", "ada", "--disable")
    assert "disabled" in run("users", "list").output
    text = run("keys", "add", "ci", "--role", "reader").output.strip()
    assert run("keys", "add-write", "shop").output.startswith("rlk_wk_")
    assert run("keys", "add-write", "page", "--web").output.startswith("rlk_ww_")

    def status() -> int:
        headers = {"Authorization": f"Bearer {text}"}
        return app.test_client().get("/api/v1/flags", headers=headers).status_code

    assert status() == 200
    listed = run("keys", "list").output
    assert text not in listed
    key_id = next(line.split()[0] for line in listed.splitlines() if " ci " in f"{line} ")
    run("keys", "revoke", key_id)
    assert key_id not in run("keys", "list").output


# Where source code mentions flags


def test_a_scan_finds_keys_in_source_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """And passes over what is hidden, ignored, installed, binary or huge."""
    lines = {
        "app/shop.py": 'if is_on("new-checkout"):\n    pass\nx = flags.new-checkout\n',
        "app/menu.ts": "const a = useFlag('menu'); // the menu\n",
        "app/other.py": "new-checkout-2, menu, my-new-checkout\n",
        ".hidden/a.py": '"menu"',
        "node_modules/a.js": '"menu"',
        "made/a.js": '"menu"',
        "deep/made.log": '"menu"',
        "binary.bin": '"menu"\0',
        "huge.js": '"menu"' + " " * 1_000_001,
        ".gitignore": "# built\nmade/\n*.log\n/top.py\ngen/*\n!gen/kept.py\n",
        "top.py": '"menu"',
        "below/top.py": '"menu"',
        "gen/a.py": '"menu"',
        "gen/kept.py": '"menu"',
        "below/.gitignore": "*.tmp\n!kept.log\nsub/\n",
        "below/kept.log": '"menu"',
        "below/a.tmp": '"menu"',
        "below/sub/a.py": '"menu"',
        "beside/a.tmp": '"menu"',
    }
    for name, text in lines.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    assert scan(tmp_path, ["new-checkout", "menu", "gone"]) == {
        "new-checkout": [("app/shop.py", 1), ("app/shop.py", 3)],
        "menu": [
            ("app/menu.ts", 1),
            ("below/kept.log", 1),
            ("below/top.py", 1),
            ("beside/a.tmp", 1),
            ("gen/kept.py", 1),
        ],
        "gone": [],
    }
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/fix/menu\n")
    assert branch_of(tmp_path / "app") == "fix/menu"
    # A part of a repository is scanned by the rules of the whole, whatever the path is like.
    monkeypatch.chdir(tmp_path / "below")
    assert scan(Path(), ["menu"])["menu"] == [("kept.log", 1), ("top.py", 1)]
    (tmp_path / "below" / "more.log").write_text('"menu"')
    assert scan(Path(), ["menu"])["menu"] == [("kept.log", 1), ("top.py", 1)]


def test_a_scan_says_how_far_it_is_and_where_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A large repository is read in bounded time, and nobody takes a part of it for the whole."""
    for number in range(25):
        (tmp_path / f"{number}.py").write_text("")
    monkeypatch.setattr(code_scan, "PROGRESS_EVERY", 10)
    told: list[int] = []

    assert scan(tmp_path, ["menu"], told.append) == {"menu": []}
    assert told == [10, 20]
    monkeypatch.setattr(code_scan, "MOST_FILES", 24)
    with pytest.raises(TooManyFiles):
        scan(tmp_path, ["menu"])


def test_a_scan_tells_the_service(
    run: Run, app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Through its API; what is no longer found is forgotten."""
    client = app.test_client()

    def request(method: str, url: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        path = url.removeprefix("http://flags.test")
        given = client.open(
            path, method=method, json=more["json"], query_string=more["params"], headers=headers
        )
        return _Answered(given.status_code, given.json)

    monkeypatch.setattr(
        code_commands.requests.Session, "request", lambda _, *a, **k: request(*a, **k)
    )
    file = tmp_path / "flags.yaml"
    file.write_text(FILE)
    run("flags", "apply", str(file), "--yes")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text('is_on("f")\n')
    words = ("--url", "http://flags.test", "--key-file", "-", "--branch", "main")

    found = run("code-refs", "scan", str(tmp_path / "code"), *words, said=ADMIN_KEY)

    assert "f: a.py:1" in found.output
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    (shown,) = client.get("/api/v1/flags/f", headers=headers).json["code_references"]
    assert (shown["repository"], shown["file"], shown["line"]) == ("code", "a.py", 1)
    (tmp_path / "code" / "a.py").write_text("")
    monkeypatch.setenv("ROLLOUTS_API_KEY", ADMIN_KEY)
    by_setting = [word for word in words if word not in ("--key-file", "-")]
    run("code-refs", "scan", str(tmp_path / "code"), *by_setting)
    assert client.get("/api/v1/flags/f", headers=headers).json["code_references"] == []
    monkeypatch.delenv("ROLLOUTS_API_KEY")
    keyless = run("code-refs", "scan", str(tmp_path / "code"), *by_setting, status=2)
    assert "--key-file" in keyless.output


class _Answered:
    """A test client's answer as `requests` gives it."""

    def __init__(self, status: int, body: Any) -> None:
        self.ok = status < 400
        self.status_code = status
        self._body = body

    def json(self) -> Any:
        """The body."""
        return self._body
