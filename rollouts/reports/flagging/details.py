"""What holds for a flag in every environment, as the fields of a form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollouts.errors import Fault, Invalid
from rollouts.flags.model import Flag, FlagKind, Given
from rollouts.reports.editor.texts import json_of, list_of, list_text, text_of, value_of

LONGEST = 200_000
FIELDS = ("description", "owner", "tags", "default", "off", "schema")
USUAL = {FlagKind.BOOLEAN: "false", FlagKind.NUMBER: "0", FlagKind.STRING: "", FlagKind.JSON: "{}"}

Texts = dict[str, str]


@dataclass(frozen=True, slots=True)
class Contest:
    """One field that two people have seen differently."""

    name: str
    began: str
    theirs: str
    mine: str


def texts_of(flag: Flag) -> Texts:
    """The fields as they stand."""
    return {
        "description": flag.description,
        "owner": flag.owner,
        "tags": list_text(flag.tags),
        "default": text_of(flag.kind, flag.default),
        "has_off": "on" if flag.off is not None else "",
        "off": text_of(flag.kind, flag.off_value),
        "schema": "" if flag.schema is None else json.dumps(dict(flag.schema), indent=2),
    }


def texts_sent(sent: Mapping[str, str]) -> Texts:
    """The fields as they were sent."""
    names = ("key", "kind", *FIELDS, "has_off", "reason", "revision")
    return {name: _kept(sent.get(name, "")) for name in names}


def _kept(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\0", "")[:LONGEST]


def fields_of(kind: FlagKind, texts: Texts) -> dict[str, Any]:
    """The flag's fields. Raises Invalid that names each one that cannot be read."""
    faults: list[Fault] = []

    def read(name: str, how: Any) -> Any:
        try:
            return how(texts[name])
        except ValueError as wrong:
            faults.append(Fault(name, str(wrong)))
            return None

    default = read("default", lambda text: value_of(kind, text or USUAL[kind]))
    off = Given(read("off", lambda text: value_of(kind, text))) if texts["has_off"] else None
    schema = read("schema", _schema)
    if faults:
        raise Invalid(f"{faults[0].where}: {faults[0].problem}", faults=tuple(faults))
    return {
        "description": texts["description"].strip(),
        "owner": texts["owner"].strip(),
        "tags": tuple(dict.fromkeys(str(tag) for tag in list_of(texts["tags"]))),
        "default": default,
        "off": off,
        "schema": schema,
    }


def _schema(text: str) -> dict[str, Any] | None:
    held = json_of(text) if text.strip() else None
    if held is not None and not isinstance(held, dict):
        raise ValueError("a schema is an object, in braces")
    return held


def new_flag(texts: Texts) -> Flag:
    """The flag that a filled-in form describes. Raises Invalid."""
    try:
        kind = FlagKind(texts["kind"])
    except ValueError:
        raise Invalid("kind: choose one", faults=(Fault("kind", "choose one"),)) from None
    return Flag(key=texts["key"].strip(), kind=kind, **fields_of(kind, texts))


def contests(began: Flag, theirs: Flag, mine: Texts) -> list[Contest]:
    """Fields that were changed on either side, as both sides have them."""
    sides = texts_of(began), texts_of(theirs)
    found = [Contest(name, *(_shown(side, name) for side in (*sides, mine))) for name in FIELDS]
    return [item for item in found if not item.began == item.theirs == item.mine]


def _shown(texts: Texts, name: str) -> str:
    if name == "off" and not texts["has_off"]:
        return "the usual one"
    return texts[name].strip()
