"""What the API takes for flags, and how it shows them."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from rollouts.errors import EditUnconditional
from rollouts.flags.model import (
    KEY_PATTERN,
    Condition,
    Flag,
    FlagKind,
    FlagState,
    Given,
    GroupForm,
    Mode,
    Options,
    Rule,
    SavedGroup,
)
from rollouts.flags.rule_json import dump_flag
from rollouts.web import json_bytes
from rollouts.web.conditional import edited_revision


class Body(BaseModel):
    """Fields are named; a misspelt one is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


class KeyPath(BaseModel):
    """Which one."""

    key: str = Field(max_length=200)


class FlagEnvironmentPath(KeyPath):
    """Which flag, in which environment."""

    environment: str = Field(max_length=200)


class RevisionPath(KeyPath):
    """Which revision of which flag."""

    number: int = Field(ge=1, le=10**9)


class ClientKeyPath(BaseModel):
    """Which connection."""

    client_key: str = Field(max_length=200)


class PreviewQuery(Body):
    """Whether only to show what would change."""

    preview: bool = Field(False, description="Answer with the difference; change nothing.")


class StateBody(Body):
    """What a flag does in one environment."""

    enabled: bool = True
    default: JsonValue = Field(
        None, description="For those whom no rule concerns. Left out: the flag's own default."
    )
    rules: list[Rule] = Field(default_factory=list, max_length=100)

    def to_domain(self) -> FlagState:
        """The state this body describes."""
        own = Given(self.default) if "default" in self.model_fields_set else None
        return FlagState(self.enabled, own, tuple(self.rules))


class EditStateBody(StateBody):
    """The state that replaces the present one, and why."""

    reason: str = Field("", max_length=10_000)


class FlagBody(Body):
    """What is said about a flag as a whole."""

    description: str = Field("", max_length=10_000)
    owner: str = Field("", max_length=200)
    tags: list[str] = Field(default_factory=list, max_length=50)
    default: JsonValue = Field(description="A value of the flag's kind.")
    off: JsonValue = Field(
        None, description="Served where the flag is switched off. Left out: false, or the default."
    )
    json_schema: dict[str, JsonValue] | None = Field(
        None, alias="schema", description="JSON Schema that every value must meet."
    )

    metadata: dict[str, JsonValue] | None = Field(
        None, description="Told to SDKs beside the flag, such as projects; decides nothing."
    )

    @property
    def given_off(self) -> Given | None:
        """The off value, if there is one."""
        return Given(self.off) if "off" in self.model_fields_set else None


class NewFlagBody(FlagBody):
    """A flag to be made."""

    key: str = Field(pattern=KEY_PATTERN, max_length=200)
    kind: FlagKind = FlagKind.BOOLEAN
    default: JsonValue = Field(False, description="A value of the flag's kind.")
    environments: dict[str, StateBody] = Field(
        default_factory=dict, description="Those left out start switched on, without rules."
    )
    reason: str = Field("", max_length=10_000)

    def to_domain(self) -> Flag:
        """The flag this body describes."""
        return Flag(
            key=self.key,
            kind=self.kind,
            default=self.default,
            off=self.given_off,
            description=self.description,
            owner=self.owner,
            tags=tuple(self.tags),
            schema=self.json_schema,
            metadata=self.metadata,
            states={key: state.to_domain() for key, state in self.environments.items()},
        )


class EditFlagBody(FlagBody):
    """Members that are left out stay as they are."""

    default: JsonValue = Field(None, description="A value of the flag's kind.")
    reason: str = Field("", max_length=10_000)

    def changed(self) -> dict[str, Any]:
        """The members that were given, as the flag's fields."""
        fields: dict[str, Any] = {
            "description": self.description,
            "owner": self.owner,
            "tags": tuple(self.tags),
            "default": self.default,
            "off": self.given_off,
            "schema": self.json_schema,
            "metadata": self.metadata,
        }
        given = {"schema" if name == "json_schema" else name for name in self.model_fields_set}
        return {name: value for name, value in fields.items() if name in given}


class ToggleBody(Body):
    """Switch on or off."""

    environment: str = Field(max_length=200)
    enabled: bool
    reason: str = Field("", max_length=10_000)


class KillBody(Body):
    """Switch off, now."""

    environment: str | None = Field(None, max_length=200, description="Left out: everywhere.")
    reason: str = Field(min_length=1, max_length=10_000)


class ReasonBody(Body):
    """Why."""

    reason: str = Field("", max_length=10_000)


class RevertBody(ReasonBody):
    """Which revision to go back to, and why."""

    revision: int = Field(ge=1, le=10**9)


class NewEnvironmentBody(Body):
    """An environment to be made."""

    key: str = Field(pattern=KEY_PATTERN, max_length=200)
    name: str = Field("", max_length=200)


class OptionsBody(Body):
    """What the payload of a connection holds beside the flags."""

    saved_groups: GroupForm = GroupForm.INLINE
    rule_ids: bool = True
    names: bool = Field(False, description="Names of variations: readers of a page see them.")

    sticky: bool = Field(
        False,
        description="Evaluation here, remote or by OFREP, remembers each unit's variations.",
    )

    experiments: bool = Field(
        True, description="Experiments of a visual editor and redirects, which run in pages."
    )
    metadata: bool = Field(True, description="What flags say of themselves, such as projects.")

    def to_domain(self) -> Options:
        """The options this body describes."""
        return Options(
            self.saved_groups,
            self.rule_ids,
            self.names,
            self.sticky,
            self.experiments,
            self.metadata,
        )


class NewConnectionBody(Body):
    """A connection to be made."""

    name: str = Field(min_length=1, max_length=200)
    environment: str = Field("production", max_length=200)
    mode: Mode = Mode.PLAIN
    options: OptionsBody = Field(default_factory=OptionsBody)


class EditConnectionBody(Body):
    """Members that are left out stay as they are."""

    name: str | None = Field(None, min_length=1, max_length=200)
    options: OptionsBody | None = None


class GroupBody(Body):
    """A saved group: values of an attribute, or a condition."""

    name: str = Field(min_length=1, max_length=200)
    description: str = Field("", max_length=10_000)
    attribute: str = Field("id", min_length=1, max_length=200)
    values: list[str | int | float] = Field(default_factory=list, max_length=50_000)
    condition: Condition | None = None
    reason: str = Field("", max_length=10_000)

    def to_domain(self, key: str) -> SavedGroup:
        """The group this body describes."""
        return SavedGroup(
            key=key,
            name=self.name,
            attribute=self.attribute,
            values=tuple(self.values),
            condition=self.condition,
            description=self.description,
        )


class NewGroupBody(GroupBody):
    """A saved group to be made."""

    key: str = Field(pattern=KEY_PATTERN, max_length=200)


def needed_revision() -> int:
    """The revision an edit is meant for. Raises EditUnconditional."""
    revision = edited_revision(request.headers)
    if revision is None:
        raise EditUnconditional('Send the revision you read as the header If-Match: "<revision>".')
    return revision


def show_flag(flag: Flag) -> dict[str, Any]:
    """A flag as the API shows it."""
    times = {"created_at": flag.created_at, "updated_at": flag.updated_at}
    return {**dump_flag(flag), "revision": flag.revision, **times}


def answer(body: Any, revision: int | None = None, status: int = 200) -> Response:
    """JSON, with the revision that an edit must name."""
    response = Response(json_bytes.dumps(body), status, content_type="application/json")
    if revision is not None:
        response.headers["ETag"] = f'"{revision}"'
    return response
