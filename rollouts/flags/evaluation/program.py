"""A payload compiled once, to be asked about any number of users."""

from collections.abc import Mapping

from rollouts.flags.evaluation.batches import Hashes
from rollouts.flags.evaluation.conditions import Conditions
from rollouts.flags.evaluation.evaluation import Evaluation, Feature
from rollouts.flags.evaluation.experiments import inline
from rollouts.flags.evaluation.members import hash_text
from rollouts.flags.evaluation.parts import World
from rollouts.flags.evaluation.prerequisites import parents_of, too_deep
from rollouts.flags.evaluation.results import CYCLIC, ExperimentResult, Result, Source, User
from rollouts.flags.evaluation.rules import Rules, Step
from rollouts.flags.evaluation.sticky import document_key


class Program:
    """Every flag of a payload as a function of a user. Immutable, shared between threads."""

    def __init__(
        self,
        features: Mapping[str, object],
        saved_groups: Mapping[str, object],
        bandits: Mapping[str, object],
    ) -> None:
        self._world = World(Conditions(saved_groups), Hashes(), bandits)
        self._rules = Rules(self._world)
        self._features: dict[str, Feature] = {}
        self._has_rules: set[str] = set()
        self._is_float: set[str] = set()
        self.problems: list[str] = []  # rules that are skipped, and why
        self._compile(features)
        self._world.hashes.close()

    def _compile(self, features: Mapping[str, object]) -> None:
        wanted = {parent for feature in features.values() for parent in parents_of(feature)}
        deep = too_deep(features)
        for key, feature in features.items():
            if not isinstance(feature, dict):
                self.problems.append(f"{key}: a flag must be an object")
                continue
            compiled = _constant(CYCLIC) if key in deep else self._feature(key, feature)
            self._features[key] = _once(key, compiled) if key in wanted else compiled

    def _feature(self, key: str, feature: dict[str, object]) -> Feature:
        default = Result(feature.get("defaultValue"), Source.DEFAULT_VALUE)
        rules = feature.get("rules")
        steps = self._steps(key, rules if isinstance(rules, list) else [])
        if steps:
            self._has_rules.add(key)
        if any(type(value) is float for value in values_of(feature)):
            self._is_float.add(key)
        return _first_of(steps, default)

    def _steps(self, key: str, rules: list[object]) -> list[Step]:
        return [self._step(key, index, rule) for index, rule in enumerate(rules)]

    def _step(self, key: str, index: int, rule: object) -> Step:
        def problem(reason: str) -> None:
            self.problems.append(f"{key}, rule {index + 1}: {reason}")

        return self._rules.compile(rule, key, problem)

    @property
    def keys(self) -> list[str]:
        """Keys of all flags in the order of the payload."""
        return list(self._features)

    def has_rules(self, key: str) -> bool:
        """Whether a flag has any rules, so that its default is one answer among others."""
        return key in self._has_rules

    def is_float(self, key: str) -> bool:
        """Whether some value of a flag has a fraction point, so that all are meant to have one."""
        return key in self._is_float

    def start(self, user: User) -> Evaluation:
        """An evaluation for one user, to ask flag by flag."""
        return Evaluation(self._features, user)

    def start_all(self, user: User) -> Evaluation:
        """An evaluation that is to ask about most flags: what they share is computed in one go."""
        evaluation = Evaluation(self._features, user)
        evaluation.buckets = self._world.hashes.of_user(user.attributes)
        return evaluation

    def evaluate(self, key: str, user: User) -> Result:
        """What one flag is worth to a user."""
        return self.start(user).result(key)

    def evaluate_all(self, user: User) -> dict[str, Result]:
        """What every flag is worth to a user."""
        return self.results_of(self.start_all(user))

    def results_of(self, evaluation: Evaluation) -> dict[str, Result]:
        """What every flag is worth in an evaluation that `start_all` began."""
        if evaluation.user.forced_features:
            return {key: evaluation.result(key) for key in self._features}
        return {key: feature(evaluation) for key, feature in self._features.items()}

    def run(self, experiment: dict[str, object], user: User) -> ExperimentResult | None:
        """The variation of a user in an experiment outside any flag; None if not let in.

        Raises BadRule for a definition that is none.
        """
        world = self._world._replace(hashes=Hashes())
        assigned = inline(experiment, world).assign(self.start(user))
        return assigned.result if assigned else None

    def sticky_keys(self, attributes: Mapping[str, object]) -> list[str]:
        """Keys of the sticky documents that an evaluation of these attributes may read."""
        names = {
            name for sticky in self._rules.sticky for name in (sticky.attribute, sticky.fallback)
        }
        values = {name: hash_text(attributes.get(name)) for name in sorted(names - {""})}
        return [document_key(name, value) for name, value in values.items() if value]


def compile_payload(
    features: Mapping[str, object],
    saved_groups: Mapping[str, object] | None = None,
    contextual_bandits: Mapping[str, object] | None = None,
) -> Program:
    """The flags of a payload, with the saved groups and bandits their rules refer to.

    >>> program = compile_payload({"beta": {"defaultValue": False, "rules": [
    ...     {"condition": {"country": "NZ"}, "force": True}]}})
    >>> program.evaluate("beta", User({"country": "NZ"})).value
    True
    """
    return Program(features, saved_groups or {}, contextual_bandits or {})


def values_of(feature: dict[str, object]) -> list[object]:
    """Every value a flag may have."""
    rules = feature.get("rules")
    found = [feature.get("defaultValue")]
    for rule in rules if isinstance(rules, list) else []:
        if isinstance(rule, dict):
            found.append(rule.get("force"))
            for name in ("variations", "contextualVariations"):
                arms = rule.get(name)
                found.extend(arms if isinstance(arms, list) else [])
    return found


def _constant(result: Result) -> Feature:
    return lambda _: result


def _once(key: str, feature: Feature) -> Feature:
    return lambda evaluation: evaluation.once(key, feature)


def _first_of(steps: list[Step], default: Result) -> Feature:
    if not steps:
        return _constant(default)
    if len(steps) == 1:
        only = steps[0]
        return lambda evaluation: only(evaluation) or default

    def feature(evaluation: Evaluation) -> Result:
        for step in steps:
            found = step(evaluation)
            if found is not None:
                return found
        return default

    return feature
