"""The audit trail over HTTP: read only, there is nothing else to do with it."""

from __future__ import annotations

from typing import Any

from flask_openapi3 import APIBlueprint, Tag
from pydantic import ConfigDict, Field

from rollouts.accounts.model import Role
from rollouts.audit import service
from rollouts.audit.store import AuditEntryRow
from rollouts.errors import Fault, Invalid
from rollouts.web.access import requires
from rollouts.web.context import reading
from rollouts.web.paging import PageQuery, page

bp = APIBlueprint(
    "audit_api",
    __name__,
    url_prefix="/api/v1",
    abp_tags=[Tag(name="Audit", description="Who changed what, when, from what to what.")],
)


class AuditQuery(PageQuery):
    """Which entries are wanted; newest first."""

    model_config = ConfigDict(extra="forbid")

    action: str = Field("", max_length=100, description="Only this action, e.g. `flag.edited`.")
    subject_kind: str = Field("", max_length=100, description="Only this kind, e.g. `flag`.")
    subject: str = Field("", max_length=400, description="Only this thing, by its key.")

    @property
    def before_id(self) -> int | None:
        """The id that the page before ended with."""
        if self.after is None:
            return None
        if not (self.after.isascii() and self.after.isdigit() and len(self.after) < 19):
            raise Invalid("This cursor is not one of ours.", faults=(Fault("cursor", "no cursor"),))
        return int(self.after)


# Names of people and their reasons stand here, so a role that only reads results is not enough.
@bp.get("/audit")
@requires(Role.EDITOR)
def list_audit(query: AuditQuery) -> dict[str, Any]:
    """List what was done, newest first."""
    with reading() as session:
        entries = service.list_entries(
            session,
            limit=query.limit + 1,
            before_id=query.before_id,
            search=query.search,
            action=query.action,
            subject_kind=query.subject_kind,
            subject=query.subject,
        )
        return page(entries, query, lambda entry: entry.id, show)


@bp.get("/audit/head")
@requires(Role.EDITOR)
def get_audit_head() -> dict[str, Any]:
    """The newest link of the chain, to be kept outside the service."""
    with reading() as session:
        head = service.get_head(session)
    return {"id": head.id, "hash": head.hash}


def show(entry: AuditEntryRow) -> dict[str, Any]:
    """One entry as it goes out."""
    return {
        "id": entry.id,
        "at": entry.at.isoformat(),
        "actor": {
            "kind": entry.actor_kind,
            "id": entry.actor_id,
            "name": entry.actor_name,
            "role": entry.actor_role,
        },
        "action": entry.action,
        "subject": {"kind": entry.subject_kind, "key": entry.subject},
        "before": entry.before,
        "after": entry.after,
        "reason": entry.reason,
        "hash": entry.hash,
    }
