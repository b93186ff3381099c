"""The rules of a flag compiled: each gives a result, or nothing, and then the next is asked."""

from collections.abc import Callable
from typing import Final

from rollouts.flags.evaluation.conditions import Check
from rollouts.flags.evaluation.evaluation import Evaluation, Met
from rollouts.flags.evaluation.experiments import EXPERIMENT_MEMBERS, Experiment, targeted
from rollouts.flags.evaluation.members import BadRule, Rule, text
from rollouts.flags.evaluation.parts import Gate, World, filters, prerequisites, rollout
from rollouts.flags.evaluation.results import CYCLIC, GATED, Result, Source
from rollouts.flags.evaluation.sticky import Sticky

Step = Callable[[Evaluation], Result | None]

_STOPS: Final = {Met.NO: None, Met.GATED: GATED, Met.CYCLE: CYCLIC}


class Rules:
    """Compiles the rules of one payload."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.sticky: list[Sticky] = []

    def compile(self, rule: object, feature_key: str, problem: Callable[[str], None]) -> Step:
        """One rule. A rule no SDK could evaluate gives nothing; its problem is told."""
        try:
            if not isinstance(rule, dict):
                raise BadRule("a rule must be an object")
            met = prerequisites(rule, self._world.conditions)
        except BadRule as reason:
            problem(str(reason))
            return _nothing
        try:
            step = self._decide(rule, feature_key)
        except BadRule as reason:
            if not met or _has_value(rule):  # a rule may do no more than wait for other flags
                problem(str(reason))
            step = _nothing
        return _after(met, step) if met else step

    def _decide(self, rule: Rule, feature_key: str) -> Step:
        step = self._valued(rule, feature_key)
        for gate in reversed(filters(rule, self._world.hashes)):
            step = _behind(gate, step)
        return step

    def _valued(self, rule: Rule, feature_key: str) -> Step:
        if "force" in rule:
            return self._force(rule, feature_key)
        if not _has_value(rule):
            raise BadRule("a rule must have a value to force or variations")
        own = {name: rule[name] for name in EXPERIMENT_MEMBERS if name in rule}
        # Its filters are passed before the experiment is asked, even by sticky units.
        gates = targeted(own, self._world)
        experiment = Experiment(own, feature_key, gates, self._world)
        self.sticky.append(Sticky(rule, experiment.key))
        return _experiment(experiment, text(rule, "id"))

    def _force(self, rule: Rule, feature_key: str) -> Step:
        result = Result(rule["force"], Source.FORCE, text(rule, "id"))
        condition = rule.get("condition")
        check = self._world.conditions.compile(condition) if condition else None
        gate = rollout(rule, feature_key, self._world.hashes)
        if check is None:
            return _always(result) if gate is None else _behind(gate, _always(result))
        return _if(check, result) if gate is None else _if_both(check, gate, result)


def _has_value(rule: Rule) -> bool:
    members = (rule.get("variations"), rule.get("contextualVariations"))
    return "force" in rule or any(member is not None for member in members)


def _nothing(_: Evaluation) -> None:
    return None


def _always(result: Result) -> Step:
    return lambda _: result


def _if(check: Check, result: Result) -> Step:
    return lambda evaluation: result if check(evaluation.attributes) else None


def _if_both(check: Check, gate: Gate, result: Result) -> Step:
    def step(evaluation: Evaluation) -> Result | None:
        return result if check(evaluation.attributes) and gate(evaluation) else None

    return step


def _behind(gate: Gate, step: Step) -> Step:
    return lambda evaluation: step(evaluation) if gate(evaluation) else None


def _after(met: Callable[[Evaluation], Met], step: Step) -> Step:
    """Prerequisites come first; one that fails skips the rule or ends the flag."""

    def waiting(evaluation: Evaluation) -> Result | None:
        found = met(evaluation)
        return step(evaluation) if found is Met.YES else _STOPS[found]

    return waiting


def _experiment(experiment: Experiment, rule_id: str) -> Step:
    """A unit in an experiment has its value, unless the variation passes it on."""

    def step(evaluation: Evaluation) -> Result | None:
        exposure = experiment.assign(evaluation)
        if exposure is None or exposure.result.arm.passthrough:
            return None
        definition, found = exposure
        return Result(found.arm.value, Source.EXPERIMENT, rule_id, definition, found)

    return step
