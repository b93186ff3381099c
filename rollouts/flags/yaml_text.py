"""YAML that means what JSON means: what people write is what is read, and comes back the same.

Read strictly: texts such as `on`, `no` or `2026-05-14` stay texts, keys are texts and occur once,
and nothing but JSON can come out. Written with quotes wherever any YAML reader would want them.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from rollouts.errors import Malformed

_FLOAT = re.compile(
    r"^[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$"
)
_OTHER_BREAKS = re.compile("[\r\x85\u2028\u2029\ufeff]")
_PLAIN: tuple[tuple[str, re.Pattern[str], list[str | None]], ...] = (
    ("bool", re.compile(r"^(?:true|false)$"), list("tf")),
    ("null", re.compile(r"^(?:~|null|)$"), ["~", "n", ""]),
    ("int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
)


class _Loader(yaml.SafeLoader):
    """The safe loader with JSON's own types only."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - filled by the class itself

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """An object whose keys are texts, each once."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise Malformed(f"Line {line}: the key {key!r} must be a text. Put it in quotes.")
            if key in seen:
                raise Malformed(f"Line {line}: the key {key!r} occurs twice.")
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """The safe dumper without anchors; a list inside another is indented."""

    def ignore_aliases(self, _data: Any) -> bool:
        """Spell everything out."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists too."""
        super().increase_indent(flow, False)


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """A text; one with line breaks of other alphabets is escaped, or they would be folded."""
    style = '"' if _OTHER_BREAKS.search(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _text)
for _name, _pattern, _first in _PLAIN:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", _pattern, _first)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def loads(text: str) -> Any:
    """What a YAML file says. Raises Malformed with the line."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a subclass of the safe loader
    except yaml.YAMLError as wrong:
        raise Malformed(f"The file is not valid YAML: {' '.join(str(wrong).split())}") from None
    except RecursionError:
        raise Malformed("The file is nested too deep.") from None


def dumps(value: Any) -> str:
    """A JSON value as YAML, members in their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
