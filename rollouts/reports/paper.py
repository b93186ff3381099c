"""A report as one HTML file: no script, no address, nothing to load. It opens anywhere."""

from __future__ import annotations

from functools import cache

from flask import render_template
from markupsafe import Markup

from rollouts.reports.figures import Figures
from rollouts.reports.service import ReportPage
from rollouts.web.pages import SHEETS, STATIC


@cache
def styles() -> Markup:
    """All our style sheets as one text. They are files of ours, not data."""
    text = "\n".join((STATIC / name).read_text("utf-8") for name in SHEETS)
    return Markup(text)  # noqa: S704


def to_html(page: ReportPage, figures: Figures) -> str:
    """The page's report without frame, with its styles and charts inside."""
    return render_template(
        "reports/paper.html",
        styles=styles(),
        rollout=page.head,
        report=page.report,
        figures=figures,
        timeline=page.timeline,
    )
