"""Rules and flags as JSON, in the shape the API and the revisions use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter

from rollouts.flags.model import Flag, FlagKind, FlagState, Given, Options, Rule

_RULES: TypeAdapter[tuple[Rule, ...]] = TypeAdapter(tuple[Rule, ...])
_OPTIONS: TypeAdapter[Options] = TypeAdapter(Options)


def dump_rules(rules: Iterable[Rule]) -> list[dict[str, Any]]:
    """Rules as JSON; members with their usual value are left out."""
    whole = _RULES.dump_python(tuple(rules), mode="json")
    usual = _RULES.dump_python(tuple(rules), mode="json", exclude_defaults=True)
    return [
        {"type": full["type"], **{name: full[name] for name in full if name in short}}
        for full, short in zip(whole, usual, strict=True)
    ]


def load_rules(raw: Any) -> tuple[Rule, ...]:
    """Rules from JSON. Raises pydantic's ValidationError naming what is wrong."""
    return _RULES.validate_python(raw)


def dump_flag(flag: Flag) -> dict[str, Any]:
    """All that a revision keeps of a flag."""
    return {
        "key": flag.key,
        "kind": flag.kind.value,
        "description": flag.description,
        "owner": flag.owner,
        "tags": list(flag.tags),
        "default": flag.default,
        **({} if flag.off is None else {"off": flag.off.value}),
        **({} if flag.schema is None else {"schema": dict(flag.schema)}),
        **({} if flag.metadata is None else {"metadata": dict(flag.metadata)}),
        "archived": flag.is_archived,
        "environments": {key: dump_state(state) for key, state in sorted(flag.states.items())},
    }


def dump_state(state: FlagState) -> dict[str, Any]:
    """A flag's state in one environment as JSON."""
    own = {} if state.default is None else {"default": state.default.value}
    return {"enabled": state.is_enabled, **own, "rules": dump_rules(state.rules)}


def load_flag(raw: dict[str, Any]) -> Flag:
    """A flag from what `dump_flag` wrote."""
    return Flag(
        key=raw["key"],
        kind=FlagKind(raw["kind"]),
        default=raw["default"],
        off=_given(raw, "off"),
        description=raw["description"],
        owner=raw["owner"],
        tags=tuple(raw["tags"]),
        schema=raw.get("schema"),
        metadata=raw.get("metadata"),
        is_archived=raw["archived"],
        states={key: load_state(state) for key, state in raw["environments"].items()},
    )


def load_state(raw: dict[str, Any]) -> FlagState:
    """A state from what `dump_state` wrote."""
    return FlagState(
        is_enabled=raw["enabled"], default=_given(raw, "default"), rules=load_rules(raw["rules"])
    )


def _given(raw: dict[str, Any], name: str) -> Given | None:
    return Given(raw[name]) if name in raw else None


def dump_options(options: Options) -> dict[str, Any]:
    """A connection's options as JSON."""
    return _OPTIONS.dump_python(options, mode="json")  # type: ignore[no-any-return]


def load_options(raw: dict[str, Any]) -> Options:
    """Options from JSON."""
    return _OPTIONS.validate_python(raw)
