"""How we measure: what findings claim, how often they err, and every method in words."""

from __future__ import annotations

from flask import render_template

from rollouts.accounts.model import Role
from rollouts.reports import method, method_groups, method_words
from rollouts.reports.blueprint import bp
from rollouts.web.access import requires


@bp.app_template_filter("method_anchor")
def _anchor(name: str) -> str:
    return method_words.anchor_of(name)


@bp.get("/method", endpoint="method")
@requires(Role.READER)
def show_method() -> str:
    """What each finding claims, how often it errs, why not simpler, what we refuse."""
    return render_template(
        "reports/method.html",
        measured=method.measured(),
        pictures=method.pictures(),
        groups=method_groups.grouped(method_words.METHODS),
        names={item.anchor: item.name for item in method_words.METHODS},
        counted=method_words.COUNTED,
        refused=method_words.REFUSED,
        limits=method_words.LIMITS,
    )
