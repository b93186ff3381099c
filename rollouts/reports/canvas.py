"""The few strokes that every chart is made of. Altair is imported when a chart is first drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import altair


def library() -> Any:
    """Altair; it takes long to import, and most requests draw nothing."""
    import altair

    return altair


def chart(rows: Iterable[Mapping[str, Any]]) -> Any:
    """A chart over these rows, without marks yet."""
    return library().Chart(library().Data(values=list(rows)))


def scale(low: float, high: float, **more: Any) -> Any:
    """A linear scale that ends exactly where it is told to."""
    return library().Scale(domain=[low, high], nice=False, zero=False, **more)


def words_at(table: Mapping[float, str]) -> str:
    """A Vega expression that puts our words on an axis's numbers."""
    return "{" + ",".join(f"'{k:.10g}':'{v}'" for k, v in table.items()) + "}[datum.value]"


def layered(layers: list[Any], width: float, height: float) -> altair.LayerChart:
    """The layers over one another, in pixels."""
    held = library().layer(*layers).properties(width=width, height=height)
    return cast("altair.LayerChart", held)
