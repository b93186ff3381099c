"""A look: count, measure, judge, act, and keep all of it in one transaction.

The measuring reads; only the acting writes. So the store is locked for milliseconds, and the
snapshot, the flag change, the audit entry and the alert stand or fall together.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from rollouts.accounts.model import RAMP, STOP_LOSS, Actor
from rollouts.errors import Conflict, WrongState
from rollouts.guard.model import (
    Cause,
    Judgement,
    is_all_safe,
    is_stage_due,
    judge,
    why_not_affordable,
)
from rollouts.guard.sentences import verdict, versions
from rollouts.ledger import service as ledger
from rollouts.lifecycle import deeds
from rollouts.lifecycle import service as lifecycle
from rollouts.lifecycle.model import State
from rollouts.lifecycle.store import RolloutRow
from rollouts.notify import service as notify
from rollouts.results import service as results
from rollouts.results.service import Stock
from rollouts.results.store import SnapshotRow
from rollouts.runtime import Runtime
from rollouts.tolerances.model import Action
from rollouts.words import count, percent

log = structlog.get_logger()

TRIES = 5
FUTILITY = ":futility"  # no test's name: theirs have a slash
ENDINGS = {"withdrawn": deeds.withdraw, "stopped": deeds.stop}


@dataclass(frozen=True, slots=True)
class Ending:
    """A person's decision to end a rollout, carried out on a last look."""

    deed: str  # withdrawn, shipped or stopped
    reason: str
    actor: Actor
    variation: str = ""


def take_look(
    parts: Runtime, key: str, *, kind: str, now: datetime, ending: Ending | None = None
) -> SnapshotRow:
    """Look now, on everything accepted so far. Raises WrongState unless the rollout is live."""
    ledger.catch_up(parts.db, parts.journal, unit_key=parts.seal.unit_key, now=now)
    for _ in range(TRIES):
        with parts.db.reading() as session:
            row = lifecycle.get_rollout(session, key)
            _refuse_unless_live(row)
            stock = results.take_stock(session, row, kind=kind, now=now)
        with parts.db.transaction() as session:
            row = lifecycle.get_rollout(session, key, lock=True)
            _refuse_unless_live(row)
            if _is_overtaken(session, row, stock):
                continue
            snapshot = _act_and_keep(session, parts, row, stock, ending, now)
        parts.delivery.refresh()
        return snapshot
    raise Conflict(f"Rollout {key!r} is being looked at by others; try again in a moment.")


def take_due_looks(parts: Runtime, *, now: datetime) -> int:
    """Look at every rollout that is due. One that fails does not keep others waiting."""
    with parts.db.reading() as session:
        due = [row.key for row in lifecycle.list_due(session, now)]
    for key in due:
        try:
            take_look(parts, key, kind="scheduled", now=parts.now())
        except (WrongState, Conflict):
            continue  # ended or looked at in between: nothing is lost
        except SQLAlchemyError:
            raise  # the store is gone for all of them
        except Exception:  # whatever is wrong with one, the others' customers are still at risk
            log.exception("look_failed", rollout=key)
    return len(due)


def _refuse_unless_live(row: RolloutRow) -> None:
    if row.state is State.DRAFT:
        raise WrongState(f"Rollout {row.key!r} has not started: there is nothing to look at.")
    if not row.state.is_live:
        raise WrongState(f"Rollout {row.key!r} is {row.state}; its last report stands.")


def _is_overtaken(session: Session, row: RolloutRow, stock: Stock) -> bool:
    latest = results.find_latest(session, row.id)
    expected: int = stock.body["look"]["number"]
    return (latest.look if latest else 0) + 1 != expected


def _act_and_keep(
    session: Session,
    parts: Runtime,
    row: RolloutRow,
    stock: Stock,
    ending: Ending | None,
    now: datetime,
) -> SnapshotRow:
    body = stock.body
    before = results.find_latest(session, row.id)
    judgement = _with_ramp(judge(body), body)
    deed = ending.deed if ending else _deed_of(judgement)
    body["decision"] = {
        "action": judgement.action.value if judgement.action else "none",
        "reasons": [cause.reason for cause in judgement.causes],
    }
    body["verdict"] = verdict(body, judgement, deed=deed, at=now)
    if deed:
        body["rollout"] |= {"state": deed, "ended_at": now.isoformat()}
    if ending and ending.deed == "shipped":
        body["rollout"]["shipped"] = ending.variation
    is_told = _remember_futility(stock, judgement)
    snapshot = results.keep(session, row, stock, now)
    if ending:
        _end(session, row, body, ending, now)
    else:
        _act(session, row, body, judgement, now)
    _tell(session, parts, body, deed or _news(judgement, before, is_told), now)
    if row.state.is_live:
        draft = lifecycle.current_draft(session, row)
        default = parts.settings.look_interval_seconds
        lifecycle.schedule_next_look(row, draft, default, now)
    return snapshot


def _with_ramp(judgement: Judgement, body: dict[str, Any]) -> Judgement:
    """A next stage that cannot be afforded is one more reason to hold, once it is due."""
    if not judgement.is_pass or not is_stage_due(body):
        return judgement
    cause = why_not_affordable(body)
    if cause is None:
        return judgement
    return Judgement(Action.HOLD, (cause, *judgement.causes))


def _deed_of(judgement: Judgement) -> str:
    return "withdrawn" if judgement.action is Action.WITHDRAW else ""


def _act(
    session: Session, row: RolloutRow, body: dict[str, Any], judgement: Judgement, now: datetime
) -> None:
    if judgement.action is Action.WITHDRAW and judgement.worst is not None:
        deeds.withdraw(
            session,
            row.key,
            reason=judgement.worst.reason,
            sentence=body["verdict"]["sentence"],
            actor=STOP_LOSS,
            now=now,
        )
        return
    if judgement.action is Action.HOLD and judgement.worst is not None:
        deeds.hold(session, row, reason=_lasting(judgement.worst), actor=STOP_LOSS, now=now)
        return
    deeds.release(session, row, actor=STOP_LOSS, now=now)
    if row.state is State.RUNNING and is_stage_due(body):
        deeds.advance(session, row.key, reason="", actor=RAMP, now=now)


def _lasting(cause: Cause) -> str:
    """The reason without its running figures, so that one hold is one entry on the timeline."""
    return {
        "budget": f"the harm budget of {cause.metric} is close to spent",
        "split": "the split is not what was set",
        "nodata": f"{cause.metric} has no data",
        "feed": f"the feed of {cause.metric} is silent",
        "affordable": f"the next stage could overspend the harm budget of {cause.metric}",
        "deadline": "the plan's deadline has passed",
        "futile": "a worthwhile effect can hardly be shown any more",
    }.get(cause.kind, f"harm is shown in {cause.metric}")


def _end(
    session: Session, row: RolloutRow, body: dict[str, Any], ending: Ending, now: datetime
) -> None:
    if ending.deed == "shipped":
        deeds.ship(
            session,
            row.key,
            variation=ending.variation,
            is_safe=is_all_safe(body),
            reason=ending.reason,
            actor=ending.actor,
            now=now,
        )
    else:
        ENDINGS[ending.deed](session, row.key, reason=ending.reason, actor=ending.actor, now=now)


def _tell(
    session: Session,
    parts: Runtime,
    body: dict[str, Any],
    news: str,
    now: datetime,
) -> None:
    """One message for each event; what was already said is not said again."""
    if not news:
        return
    kind = f"rollout.{news}"
    name, key = body["rollout"]["name"], body["rollout"]["key"]
    report = f"{parts.settings.base_url}/rollouts/{key}/report/{body['id']}"
    notify.enqueue(
        session,
        kind=kind,
        subject=f"{kind.removeprefix('rollout.').capitalize()}: {name}",
        happened=body["verdict"]["sentence"],
        done=_done(body, kind),
        links={
            "report": report,
            "flag": f"{parts.settings.base_url}/flags/{body['rollout']['flag']}",
        },
        data={
            "rollout": key,
            "flag": body["rollout"]["flag"],
            "environment": body["rollout"]["environment"],
            "snapshot": body["id"],
            "plan_hash": body["plan"]["hash"],
            "verdict": body["verdict"]["kind"],
            "reasons": body["decision"]["reasons"],
        },
        now=now,
    )


def _remember_futility(stock: Stock, judgement: Judgement) -> bool:
    """Whether people were told before that this is futile; from now on they were."""
    is_told = bool(stock.states.get(FUTILITY, {}).get("is_told"))
    if judgement.worst is not None and judgement.worst.kind == "futile":
        stock.states[FUTILITY] = {"is_told": True}
    return is_told


def _news(judgement: Judgement, before: SnapshotRow | None, is_told: bool) -> str:
    """What has to be told; empty where everything was."""
    if judgement.worst is not None and judgement.worst.kind == "futile":
        return "" if is_told else "futile"
    last = before.body["decision"]["action"] if before else "none"
    if before and before.body["verdict"]["kind"] == "futile":
        last = "none"  # a hold for harm's sake is news, even where the ramp was held before
    action = judgement.action.value if judgement.action else "none"
    if action == last or action in ("none", "observe"):
        return ""
    return {"hold": "held", "warn": "warned"}[action]


def _done(body: dict[str, Any], kind: str) -> str:
    treated = count(sum(v["n"] for v in body["units"]["by_variation"] if not v["is_control"]))
    new = versions(body)
    return {
        "rollout.withdrawn": f"All {treated} customers on {new} are back on the old one. "
        "Nothing needs switching.",
        "rollout.stopped": "Everybody is back on the old version.",
        "rollout.shipped": "Everybody gets the new version now.",
        "rollout.futile": "Nothing was withdrawn: whether to stop is yours to decide.",
        "rollout.held": f"The ramp stays at {percent(body['stage']['share'])}; "
        "customers keep what they have.",
        "rollout.warned": "Nothing was changed; the plan only asks for a warning.",
    }[kind]
