"""What people meet is written down: routes, settings, commands, refusals."""

import inspect
from collections.abc import Iterator
from dataclasses import fields

import click
import pytest
from flask import Flask

from rollouts import errors
from rollouts.cli import cli
from rollouts.config import PREFIX, Settings
from rollouts.errors import RolloutsError, SettingWrong
from rollouts.flags import api as _routes  # noqa: F401
from rollouts.web.access import required_of


def test_every_route_says_who_may_call_it(app: Flask):
    """A route that does not is refused outright, and fails here first."""
    silent = [
        rule.rule for rule in app.url_map.iter_rules() if required_of(app, rule.endpoint) is None
    ]

    assert silent == []


def test_every_operation_of_the_api_repeats_its_role(app: Flask):
    """Who may call is in the description that clients are made from."""
    spec = app.api_doc  # type: ignore[attr-defined]

    assert spec["openapi"].startswith("3.1")
    for path, item in spec["paths"].items():
        for method, operation in item.items():
            assert operation["x-required-role"] not in (None, "None"), (path, method)
            assert operation["summary"] or operation["description"], (path, method)


def test_every_setting_has_its_line():
    """`rollouts settings` is the documentation, and it is complete."""
    for item in fields(Settings):
        assert item.metadata["help"].endswith("."), item.name


def test_every_command_has_its_line():
    """`rollouts --help` is a pleasure to read, and so is that of every group in it."""
    found = dict(iterate_commands(cli, "rollouts"))
    assert {"rollouts up", "rollouts flags apply", "rollouts keys add"} <= found.keys()
    for name, command in found.items():
        assert command.help, name
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.help, f"{name} {parameter.name}"


def iterate_commands(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    """Every command below a group by its whole name."""
    for word, command in group.commands.items():
        yield f"{name} {word}", command
        if isinstance(command, click.Group):
            yield from iterate_commands(command, f"{name} {word}")


def test_every_refusal_has_a_code_of_its_own_and_a_sentence():
    """Programs read the code, people the title."""
    kinds = [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, RolloutsError)
    ]
    codes = [kind.code for kind in kinds]

    assert len(set(codes)) == len(codes)
    for kind in kinds:
        assert kind.__doc__
        assert 400 <= kind.status < 600
        assert kind.title


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "many", "number"),
        ("PORT", "70000", "65535"),
        ("COLOUR", "red", "no setting"),
        ("SECRET_KEY", "short", "32 characters"),
        ("BOOTSTRAP_ADMIN_KEY", "short", "32 characters"),
        ("DATABASE_URL", "mysql://x", "postgresql"),
        ("PUBLIC_URL", "ftp://x", "http"),
        ("OUTBOUND_ALLOW", "everything", "networks"),
        ("WEB_PROCESSES", "2", "PostgreSQL"),
        ("FOLD_INTERVAL_MS", "0", "above 0"),
        ("LOG_FORMAT", "xml", "console or json"),
        ("AUTO_MIGRATE", "perhaps", "yes or no"),
    ],
)
def test_a_wrong_setting_is_refused_at_the_start(name: str, value: str, said: str):
    """With the variable's name and what it must be."""
    with pytest.raises(SettingWrong, match=said) as refused:
        Settings.from_environment({PREFIX + name: value})

    assert PREFIX + name in str(refused.value)


def test_settings_reach_the_other_processes_unchanged(tmp_path):
    """What the supervisor was given is what web and worker run with."""
    from rollouts.supervisor import to_environment

    held = Settings(var_dir=tmp_path, port=1234, auto_migrate=False, look_interval_seconds=1.5)

    assert Settings.from_environment(to_environment(held)) == held
