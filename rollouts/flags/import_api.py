"""Taking over other services' flags over HTTP."""

from __future__ import annotations

from typing import Any

from flask import Response
from pydantic import Field, JsonValue

from rollouts.accounts.model import Role
from rollouts.flags.blueprint import ENVIRONMENTS, bp
from rollouts.flags.bodies import Body, KeyPath, PreviewQuery, answer
from rollouts.flags.carrying import OnConflict
from rollouts.flags.changing import changing, previewing
from rollouts.flags.importing import import_growthbook
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now


class ImportQuery(PreviewQuery):
    """Whether to change anything, and what."""

    on_conflict: OnConflict = Field(
        OnConflict.REFUSE, description="What becomes of flags that are here and say otherwise."
    )


class PayloadBody(Body):
    """What `GET /api/features/<clientKey>` of GrowthBook answers, decrypted."""

    status: int | None = None
    features: dict[str, JsonValue] = Field(description="Flags by key.")
    savedGroups: dict[str, JsonValue] | None = Field(  # noqa: N815 - the payload's own name
        None, description="Saved groups, in either form."
    )
    dateUpdated: str | None = None  # noqa: N815
    experiments: list[JsonValue] | None = Field(
        None, description="Of its visual editor and redirects: passed on as they are, by an admin."
    )
    contextualBandits: dict[str, JsonValue] | None = Field(  # noqa: N815
        None, description="Weights by context: passed on as they are."
    )

    @property
    def sections(self) -> dict[str, Any]:
        """What no flag holds and is passed on."""
        return {"experiments": self.experiments, "contextualBandits": self.contextualBandits}


@bp.post("/environments/<key>/import/growthbook", summary="Import flags", tags=[ENVIRONMENTS])
@requires(Role.EDITOR)
def import_payload(path: KeyPath, query: ImportQuery, body: PayloadBody) -> Response:
    """Make flags of an SDK payload of GrowthBook, all or none.

    What is served afterwards means the same to every SDK: the notes name what was left out since
    it decides nothing, and what was made since it is referred to. What cannot be kept is refused
    by its name. Flags that are new are switched off in the other environments.
    """
    with (previewing if query.preview else changing)() as session:
        done = import_growthbook(
            session,
            path.key,
            body.features,
            body.savedGroups or {},
            on_conflict=query.on_conflict,
            actor=current_actor(),
            now=now(),
            reason="imported from GrowthBook",
            sections=body.sections,
        )
    return answer(done.to_json())
