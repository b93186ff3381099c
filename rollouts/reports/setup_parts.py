"""What the pages of the set-up share: their fields, their refusals, their frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, make_response, render_template, request, url_for
from pydantic import BaseModel, ValidationError

from rollouts.accounts.model import Role
from rollouts.errors import Fault, Invalid, RolloutsError
from rollouts.web.context import current_actor

PAGE = 25
MOST = 200  # of what is shown whole; a search finds the rest
LONGEST = 200
TABS = (
    ("reports.setup_connections", "Connections"),
    ("reports.setup_people", "People"),
    ("reports.setup_alerts", "Alerts"),
    ("reports.setup_events", "Events"),
)
Answer = dict[str, Any]


def text(name: str, longest: int = LONGEST) -> str:
    """A field of the form; control characters and overlong text are refused by name."""
    held = request.form.get(name, "").strip()
    if len(held) > longest or not held.isprintable():
        refuse(name, f"at most {longest} printable characters")
    return held


def needed(name: str, longest: int = LONGEST) -> str:
    """A field that may not be empty."""
    held = text(name, longest)
    if not held:
        refuse(name, "this is needed")
    return held


def refuse(name: str, problem: str) -> None:
    """Say what is wrong with a field."""
    raise Invalid(f"{name}: {problem}", faults=(Fault(name, problem),))


def choice(kind: Callable[[str], Any], name: str) -> Any:
    """One of the words of an enum."""
    try:
        return kind(request.form.get(name, ""))
    except ValueError:
        raise Invalid(f"{name}: choose one", faults=(Fault(name, "choose one"),)) from None


def body(kind: type[BaseModel], **given: Any) -> Any:
    """What the API would take, checked as there."""
    try:
        return kind.model_validate(given)
    except ValidationError as wrong:
        faults = tuple(
            Fault(str(item["loc"][0]) if item["loc"] else "form", item["msg"])
            for item in wrong.errors(include_url=False, include_context=False, include_input=False)
        )
        raise Invalid(f"{faults[0].where}: {faults[0].problem}", faults=faults) from None


def doing(deeds: dict[str, Callable[[], Answer]], show: Callable[..., Response]) -> Response:
    """Do what a button asks. A refusal comes back on the page, with all that was typed."""
    do = request.form.get("do", "")
    if do not in deeds:
        return show(refusal=Invalid("This button is none of ours. Nothing was changed."))
    try:
        done = deeds[do]()
    except RolloutsError as refusal:
        return show(refusal=refusal)
    return show(**done)


def page(name: str, *, refusal: RolloutsError | None = None, **held: Any) -> Response:
    """A page of the set-up; a refusal stands on top and beside its fields."""
    errors = {fault.where: fault.problem for fault in refusal.faults} if refusal else {}
    html = render_template(
        f"reports/setup_{name}.html",
        tabs=[(url_for(endpoint), word) for endpoint, word in TABS],
        refusal=refusal,
        errors=errors,
        sent=request.form if refusal else {},
        is_admin=current_actor().role.includes(Role.ADMIN),
        roles=[role for role in Role if current_actor().role.includes(role)],
        **held,
    )
    answer = make_response(html, refusal.status if refusal else 200)
    answer.headers["Cache-Control"] = "no-store"  # a key is shown once, not kept by browsers
    return answer
