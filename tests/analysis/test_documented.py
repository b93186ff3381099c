"""Every public function of `analysis` says what it takes, what it refuses, where it is from, and
shows itself at work. Examples are run as doctests; here it is made sure that they are there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import analysis

FOLDER = Path(analysis.__file__).parent
TINY = 8  # lines of a method that a caller can read as fast as an example

# Plumbing: what is done there follows from a definition, not from a paper. Reasons beside.
NO_SOURCE = {
    "arguments": "checks of arguments",
    "cohorts": "queries: counting and adding",
    "compare": "chooses the method, which names its source",
    "concerns": "sentences",
    "effect": "what an answer looks like",
    "estimate": "an effect with its error",
    "histogram": "values and how often they occur",
    "inputs": "checks of sums, quantiles of the normal and of Student's t",
    "moments": "sums of products",
    "panels": "a table into rows of numbers",
    "populations": "made-up customers for simulation",
    "rows": "what a row holds",
    "summary": "count, sum, sum of squares",
    "tables": "a table into columns",
    "winsor": "one limit for all",
}
CHECKS = {
    "check_level",
    "check_scale",
    "check_split",
    "check_weights",
    "counts",
    "finite",
    "finite_array",
    "open_share",
    "positive",
    "same_length",
}


@dataclass(frozen=True)
class Public:
    """A function or method with its docstring and those around it."""

    name: str
    node: ast.FunctionDef
    module: str
    module_doc: str
    class_doc: str

    @property
    def doc(self) -> str:
        return ast.get_docstring(self.node) or ""

    @property
    def is_property(self) -> bool:
        return any("property" in ast.unparse(item) for item in self.node.decorator_list)

    @property
    def n_lines(self) -> int:
        """Of its body, without the docstring."""
        first = self.node.body[1] if self.doc and len(self.node.body) > 1 else self.node.body[0]
        return (self.node.end_lineno or 0) - first.lineno + 1

    @property
    def calls(self) -> set[str]:
        found = (node.func for node in ast.walk(self.node) if isinstance(node, ast.Call))
        return {ast.unparse(item) for item in found}

    @property
    def raises(self) -> bool:
        """Whether it refuses a programmer's mistake by itself."""
        raised = [node.exc for node in ast.walk(self.node) if isinstance(node, ast.Raise)]
        own = any("ValueError" in ast.unparse(item) for item in raised if item)
        return own or bool(self.calls & CHECKS)


@cache
def everything() -> tuple[Public, ...]:
    return tuple(item for path in sorted(FOLDER.glob("*.py")) for item in _public(path))


def _public(path: Path) -> Iterator[Public]:
    tree = ast.parse(path.read_text())
    doc = ast.get_docstring(tree) or ""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            if not any("builtin" in ast.unparse(item) for item in node.decorator_list):
                yield Public(f"{path.stem}.{node.name}", node, path.stem, doc, "")
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            about = ast.get_docstring(node) or ""
            for part in node.body:
                if isinstance(part, ast.FunctionDef) and not part.name.startswith("_"):
                    name = f"{path.stem}.{node.name}.{part.name}"
                    yield Public(name, part, path.stem, doc, about)


def functions() -> list[Public]:
    return [item for item in everything() if item.name.count(".") == 1]


def named(items: list[Public]) -> dict[str, Public]:
    return {item.name: item for item in items}


def test_there_is_much_to_check():
    """The walk finds the functions it is about."""
    assert len(functions()) > 150
    assert "impact.cumulative_impact" in named(functions())


def test_every_function_shows_itself_at_work():
    """A runnable example in each; of methods, where they are more than a line or two."""
    silent = [
        item.name
        for item in everything()
        if ">>>" not in item.doc
        and (not item.class_doc or (item.n_lines > TINY and ">>>" not in item.class_doc))
    ]

    assert silent == []


def test_every_function_says_what_it_is():
    """No public function, method or module without a sentence; a method told of in its protocol
    need not repeat it, and a property is told of in its class."""
    told = {item.name.rpartition(".")[2] for item in everything() if item.doc and item.class_doc}
    silent = [
        item.name
        for item in everything()
        if not (item.doc or item.is_property or item.name.rpartition(".")[2] in told)
    ]

    assert silent == []
    assert [item.name for item in everything() if not item.module_doc] == []


def test_every_method_of_statistics_names_its_source():
    """In its own docstring, its class's or its module's; plumbing is exempt by name."""
    unsourced = [
        item.name
        for item in functions()
        if item.module not in NO_SOURCE
        and not re.search(r"[Ss]ources?\b", item.doc + item.module_doc)
    ]

    assert unsourced == []


def test_whoever_refuses_says_so():
    """A function that raises ValueError names it, or another whose refusals it shares."""
    quiet = [
        item.name
        for item in everything()
        if item.raises
        and not re.search(r"Raises?|ValueError|refus", item.doc + item.class_doc + item.module_doc)
    ]

    assert quiet == []


def test_whoever_may_be_undecided_says_so():
    """A function that may answer Undecided says when, or whose refusals it shares."""
    quiet = [
        item.name
        for item in functions()
        if item.node.returns is not None
        and "Undecided" in ast.unparse(item.node.returns)
        and not re.search(r"Undecided|refus|unknown|As `|as `", item.doc)
    ]

    assert quiet == []


@pytest.mark.parametrize("item", functions(), ids=lambda item: item.name)
def test_every_argument_is_explained(item: Public):
    """By its name, in the function's docstring or its module's, or by pointing at another's."""
    given = [*item.node.args.args, *item.node.args.kwonlyargs]
    explained = item.doc + item.module_doc
    if re.search(r"[Aa]s (in|of|there|for|by)? ?`|[Oo]ther arguments|Arguments", item.doc):
        return
    few = len(given) <= 1 and item.n_lines <= TINY
    missing = [arg.arg for arg in given if not re.search(rf"\b{re.escape(arg.arg)}\b", explained)]

    assert missing == [] or few, f"{item.name} does not explain {missing}"
