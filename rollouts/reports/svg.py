"""Vega-Lite to SVG on the server: one drawing for light, dark, paper and phone.

A chart is drawn with the light tokens; every colour is then rewritten to `var(--token, #hex)`,
so that it follows the theme inside a page and is light where it stands alone. The SVG carries
no style attribute, no script and no id that could clash: a strict content policy lets it pass.
"""

from __future__ import annotations

import re
from threading import Lock
from typing import TYPE_CHECKING, Any
from zlib import crc32

from rollouts.web.theme import tokens

if TYPE_CHECKING:
    import altair as alt

WIDE, HALF, PHONE = SIZES = ("wide", "half", "phone")
PX = {WIDE: 1000, HALF: 500, PHONE: 326}
WIDEST = {WIDE: 1010, HALF: 510, PHONE: 345}  # beyond it the page would shrink the text
LABEL, SMALL = 13, 12
FONT = "Liberation Sans"  # text is measured with this and printed in the reader's own

_ONE_AT_A_TIME = Lock()  # the renderer is one machine; the web process has many threads
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")


def plain(text: str) -> str:
    """The text without characters that XML cannot hold."""
    return _CONTROL.sub("", text.encode("utf-8", "replace").decode())


def config() -> dict[str, Any]:
    """How all charts look: no frame, no ticks, no legend; the key stands in the page."""
    colours = tokens()
    return {
        "font": FONT,
        "aria": False,
        "background": None,
        "padding": {"left": 2, "top": 2, "bottom": 2, "right": 12},
        "view": {"stroke": None},
        "axis": {
            "labelFontSize": SMALL,
            "titleFontSize": SMALL,
            "labelColor": colours["ink-3"],
            "titleColor": colours["ink-3"],
            "titleFontWeight": "normal",
            "gridColor": colours["chart-grid"],
            "domain": False,
            "ticks": False,
            "labelPadding": 6,
            "labelLimit": 0,
            "titleLimit": 0,
        },
        "text": {"fontSize": LABEL, "color": colours["ink"]},
        "legend": {"disable": True},
    }


def render(chart: alt.LayerChart) -> str:
    """The chart as SVG text, ready to stand inside a page."""
    import vl_convert  # takes long to import, and most requests draw nothing

    spec = {**chart.to_dict(), "config": config()}
    with _ONE_AT_A_TIME:
        return cleaned(vl_convert.vegalite_to_svg(spec))


def cleaned(svg: str) -> str:
    """Colours as tokens, ids of its own, no classes, two decimals, hidden from readers."""
    by_colour: dict[str, str] = {}
    for name, colour in tokens().items():
        by_colour.setdefault(colour, name)

    def as_token(found: re.Match[str]) -> str:
        name = by_colour.get(found[2])
        return f'{found[1]}="var(--{name}, {found[2]})"' if name else found[0]

    tag = format(crc32(svg.encode()), "x")
    out = re.sub(r'(fill|stroke)="(#[0-9a-f]{6})"', as_token, svg)
    out = out.replace(f'font-family="{FONT}"', 'font-family="var(--font, sans-serif)"')
    out = re.sub(r'(id="|url\(#)(clip\d+)', rf"\g<1>{tag}-\g<2>", out)
    out = re.sub(r'(?<=[\s"])(?:class|style)="[^"<>]*"\s?', "", out)
    out = re.sub(r"(\d+\.\d\d)\d+", r"\1", out)
    return out.replace("<svg ", '<svg focusable="false" aria-hidden="true" ', 1)


def width_of(svg: str) -> float:
    """The natural width of an SVG, in pixels."""
    found = re.search(r'<svg [^>]*?\bwidth="([\d.]+)"', svg)
    if found is None:
        raise ValueError("an SVG without a width")
    return float(found[1])
