"""The catalogue of metrics as a YAML file: written out, read again, compared with what is here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor
from rollouts.errors import Conflict, Fault, Invalid
from rollouts.flags.bulk import Change
from rollouts.flags.differences import differences
from rollouts.flags.yaml_text import dumps, loads
from rollouts.metrics import service
from rollouts.metrics.bodies import MetricBody, NewMetricBody
from rollouts.metrics.codec import to_dict
from rollouts.metrics.model import Definition
from rollouts.metrics.store import MetricRow

FORMAT = "metrics/1"
BATCH = 200


def export(session: Session) -> str:
    """Every metric of the catalogue, by key; defaults are left out."""
    held = {row.key: describe(session, row) for row in _all(session)}
    return dumps({"rollouts": FORMAT, "metrics": held})


def describe(session: Session, row: MetricRow) -> dict[str, Any]:
    """A metric in the words that the API takes it in, without its key."""
    definition = service.get_version(session, row).to_domain()
    body = _body(row.name, row.description, row.owner, definition)
    return body.model_dump(mode="json", exclude_defaults=True)


def parse(text: str) -> dict[str, NewMetricBody]:
    """What a file says, by key. Raises Malformed or Invalid naming the places."""
    said = loads(text)
    if not isinstance(said, dict) or said.get("rollouts") != FORMAT:
        raise Invalid(
            f"This is no file of metrics: it must begin with `rollouts: {FORMAT}`.",
            faults=(Fault("rollouts", f"must be {FORMAT}"),),
        )
    metrics, extra = said.get("metrics"), said.keys() - {"rollouts", "metrics"}
    if extra or not isinstance(metrics, dict):
        place = min(extra) if extra else "metrics"
        raise Invalid(
            "A file of metrics holds `metrics`, an object by key, and nothing else.",
            faults=(Fault(place, "not known here" if extra else "must be an object"),),
        )
    read = {key: _read(key, held) for key, held in metrics.items()}
    faults = [fault for found in read.values() if isinstance(found, list) for fault in found]
    if faults:
        raise Invalid("These metrics cannot be read.", faults=tuple(faults[:20]))
    return {key: held for key, held in read.items() if isinstance(held, NewMetricBody)}


def apply(
    session: Session,
    said: Mapping[str, NewMetricBody],
    *,
    actor: Actor,
    now: datetime,
    reason: str,
) -> list[Change]:
    """Make the catalogue hold what a file says; what it does not name stays.

    Raises Invalid naming a definition that does not fit together, Conflict for an archived key.
    """
    definitions = {key: _defined(key, body) for key, body in said.items()}
    changes = []
    for key, body in said.items():
        found = _apply_one(session, key, body, definitions[key], actor, now, reason)
        if found is not None:
            changes.append(found)
    return changes


def _apply_one(
    session: Session,
    key: str,
    body: NewMetricBody,
    definition: Definition,
    actor: Actor,
    now: datetime,
    reason: str,
) -> Change | None:
    row = service.find_metric(session, key)
    words = {"name": body.name, "description": body.description}
    if row is None:
        service.create_metric(
            session,
            key=key,
            **words,
            owner=body.owner or actor.name,
            definition=definition,
            actor=actor,
            now=now,
        )
        return Change("metric", key, True, ())
    if row.archived_at is not None:
        raise Conflict(f"The metric {key!r} is archived. Give the new one another key.")
    owner = body.owner or row.owner
    held = service.get_version(session, row).to_domain()
    before = {"name": row.name, "description": row.description, "owner": row.owner}
    found = differences(
        {**before, **to_dict(held)}, {**words, "owner": owner, **to_dict(definition)}
    )
    if not found:
        return None
    service.redefine(
        session,
        key,
        **words,
        owner=owner,
        definition=definition,
        reason=reason,
        actor=actor,
        now=now,
    )
    return Change("metric", key, False, tuple(found))


def _all(session: Session) -> Iterator[MetricRow]:
    after: str | None = None
    while rows := service.list_metrics(session, after=after, limit=BATCH, search=""):
        yield from rows
        after = rows[-1].key


def _read(key: str, held: Any) -> NewMetricBody | list[Fault]:
    place = f"metrics.{key}"
    if not isinstance(held, dict):
        return [Fault(place, "must be an object")]
    if "key" in held:
        return [Fault(f"{place}.key", "the key stands before the metric already")]
    try:
        return NewMetricBody.model_validate({**held, "key": key})
    except ValidationError as wrong:
        return [
            Fault(".".join([place, *map(str, item["loc"])]), item["msg"]) for item in wrong.errors()
        ]


def _defined(key: str, body: NewMetricBody) -> Definition:
    try:
        return body.to_domain()
    except Invalid as wrong:
        faults = tuple(Fault(f"metrics.{key}.{it.where}", it.problem) for it in wrong.faults)
        raise Invalid(wrong.detail, faults=faults) from None


def _body(name: str, description: str, owner: str, definition: Definition) -> MetricBody:
    """The API's body that means this definition."""
    held = to_dict(definition)
    below = held.pop("denominator")
    how = held.pop("denominator_aggregation")
    if below is not None:
        below = {**below, "aggregation": how}
    return MetricBody.model_validate(
        {
            "name": name,
            "description": description,
            "owner": owner,
            **held.pop("numerator"),
            **held,
            "denominator": below,
        }
    )
