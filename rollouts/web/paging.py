"""Lists come in pages: `limit` and an opaque `cursor` that points behind the last item."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from rollouts.errors import Fault, Invalid

Item = TypeVar("Item")


class PageQuery(BaseModel):
    """How much of a list is wanted, from where, and of what."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=500, description="Most items in the answer.")
    cursor: str | None = Field(
        None, max_length=400, description="`next_cursor` of the page before."
    )
    search: str = Field("", max_length=200, description="Only items whose key or name has this.")

    @property
    def after(self) -> str | None:
        """The key that the page before ended with."""
        if self.cursor is None:
            return None
        try:
            return base64.urlsafe_b64decode(self.cursor.encode()).decode()
        except (binascii.Error, ValueError):
            raise Invalid(
                "This cursor is not one of ours. Leave it out to start at the beginning.",
                faults=(Fault("cursor", "not a cursor"),),
            ) from None


def page(
    items: Sequence[Item],
    query: PageQuery,
    key: Callable[[Item], object],
    show: Callable[[Item], Any],
) -> dict[str, Any]:
    """Cut one page out of `limit + 1` fetched items, with the cursor for the next."""
    held = items[: query.limit]
    more = len(items) > query.limit
    cursor = base64.urlsafe_b64encode(str(key(held[-1])).encode()).decode() if more else None
    return {"items": [show(item) for item in held], "next_cursor": cursor}
