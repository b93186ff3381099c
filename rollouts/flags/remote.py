"""Remote evaluation: the payload reduced to what one user gets, with no rule left in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from rollouts.errors import Malformed
from rollouts.flags.evaluation.limits import LONGEST_TEXT, attributes_problem
from rollouts.flags.evaluation.program import Program
from rollouts.flags.evaluation.results import Exposure, StickyDocument, User

MOST_FORCED: Final = 1_000  # variations, and features

Json = dict[str, object]
_KEPT_BACK: Final = ("features", "experiments", "savedGroups", "contextualBandits")


@dataclass(frozen=True, slots=True)
class RemoteRequest:
    """What an SDK asks for: one user, and what to force for them."""

    attributes: Json = field(default_factory=dict)
    forced_variations: Json = field(default_factory=dict)
    forced_features: Json = field(default_factory=dict)
    url: str = ""

    @classmethod
    def of_json(cls, body: object) -> "RemoteRequest":
        """The request in a parsed body; absent members are empty. Raises Malformed."""
        members = _object(body, "The body")
        url = members.get("url") or ""
        if not isinstance(url, str) or len(url) > LONGEST_TEXT:
            raise Malformed(f"url must be a text of at most {LONGEST_TEXT:,} characters.")
        return cls(
            _attributes(members.get("attributes")),
            _forced_variations(members.get("forcedVariations")),
            _forced_features(members.get("forcedFeatures")),
            url,
        )

    def user(self, sticky: Mapping[str, StickyDocument] | None) -> User:
        """The user to evaluate, with the variations they keep."""
        return User(self.attributes, self.forced_variations, self.forced_features, self.url, sticky)


class RemoteAnswer(NamedTuple):
    """The body of the answer, and the sticky documents that changed and are to be stored."""

    body: Json
    sticky: dict[str, StickyDocument]


def evaluate_remote(
    program: Program,
    payload_parts: Mapping[str, object],
    request: RemoteRequest,
    sticky: Mapping[str, StickyDocument] | None = None,
) -> RemoteAnswer:
    """The payload for one user.

    payload_parts: members that go out as they are, such as dateUpdated; flags, experiments,
    saved groups and bandits among them are replaced or kept back.
    sticky: documents under `program.sticky_keys(request.attributes)`; None turns them off.
    """
    evaluation = program.start_all(request.user(sticky))
    features: Json = {}
    for key in program.keys:
        evaluation.exposures = []
        value = evaluation.result(key).value
        features[key] = _reduced(value, evaluation.exposures)
    kept = {name: part for name, part in payload_parts.items() if name not in _KEPT_BACK}
    return RemoteAnswer({**kept, "features": features, "experiments": []}, evaluation.changed)


def _reduced(value: object, exposures: list[Exposure]) -> Json:
    """A flag without its rules; the SDK reports the exposures when the app reads the flag."""
    if not exposures:
        return {"defaultValue": value}
    tracks = [_track(exposure) for exposure in _distinct(exposures)]
    return {"defaultValue": value, "rules": [{"force": value, "tracks": tracks}]}


def _distinct(exposures: list[Exposure]) -> list[Exposure]:
    """A prerequisite that two rules wait for exposes a unit once."""
    if len(exposures) == 1:
        return exposures
    return list(
        {(id(each.experiment), each.result.arm.position): each for each in exposures}.values()
    )


def _track(exposure: Exposure) -> Json:
    return {"experiment": _scrubbed(exposure), "result": exposure.result.to_json()}


def _scrubbed(exposure: Exposure) -> Json:
    """The experiment as its user may know it: one variation, and not whom it is for."""
    arm = exposure.result.arm
    out = {name: part for name, part in exposure.experiment.items() if name != "condition"}
    variations = exposure.experiment["variations"]
    n = len(variations) if isinstance(variations, list) else 0
    out["variations"] = [arm.value if index == arm.position else {} for index in range(n)]
    return out


def _object(value: object, what: str) -> Json:
    if not isinstance(value, dict):
        raise Malformed(f"{what} must be an object.")
    return value


def _attributes(value: object) -> Json:
    attributes = _object({} if value is None else value, "attributes")
    problem = attributes_problem(attributes)
    if problem:
        raise Malformed(problem)
    return attributes


def _forced_variations(value: object) -> Json:
    forced = _object({} if value is None else value, "forcedVariations")
    if len(forced) > MOST_FORCED:
        raise Malformed(f"forcedVariations may name at most {MOST_FORCED:,} experiments.")
    return forced


def _forced_features(value: object) -> Json:
    """Pairs of key and value; the last of a key counts."""
    pairs = [] if value is None else value
    if not isinstance(pairs, list) or len(pairs) > MOST_FORCED:
        raise Malformed(f"forcedFeatures must be a list of at most {MOST_FORCED:,} pairs.")
    return dict(_pair(pair) for pair in pairs)


def _pair(value: object) -> tuple[str, object]:
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], str):
        raise Malformed("forcedFeatures must hold pairs of a flag's key and a value.")
    return value[0], value[1]
