"""The Python SDK's own engine, to compare with."""

from collections.abc import Iterable, Mapping
from typing import Any

from growthbook.common_types import (
    EvaluationContext,
    Feature,
    FeatureResult,
    GlobalContext,
    Options,
    StackContext,
    UserContext,
)
from growthbook.core import eval_feature


class Sdk:
    """A payload as the SDK holds it, its rules parsed once."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        features = {
            key: Feature(definition.get("defaultValue"), definition.get("rules"))
            for key, definition in payload["features"].items()
        }
        groups = payload.get("savedGroups") or {}
        self._world = GlobalContext(Options(), features=features, saved_groups=groups)
        self._world.contextual_bandits = dict(payload.get("contextualBandits") or {})

    def evaluate(self, key: str, attributes: Mapping[str, Any], **user: Any) -> FeatureResult[Any]:
        """One flag for one user."""
        return self.evaluate_all([key], attributes, **user)[key]

    def evaluate_all(
        self, keys: Iterable[str], attributes: Mapping[str, Any], **user: Any
    ) -> dict[str, FeatureResult[Any]]:
        """Many flags for one user, each with a stack of its own."""
        who = UserContext(attributes=dict(attributes), **user)
        context = EvaluationContext(who, self._world, StackContext())
        return {key: self._one(key, context) for key in keys}

    def _one(self, key: str, context: EvaluationContext) -> FeatureResult[Any]:
        context.stack.evaluated_features = set()
        return eval_feature(key, context)

    def tracked(self, key: str, attributes: Mapping[str, Any]) -> set[tuple[str, int]]:
        """Experiments and variations that a tracking callback would be told of."""
        found: set[tuple[str, int]] = set()
        who = UserContext(attributes=dict(attributes))
        context = EvaluationContext(who, self._world, StackContext())
        context.tracking_cb = lambda experiment, result, _: found.add(
            (experiment.key, result.variationId)
        )
        eval_feature(key, context)
        return found
