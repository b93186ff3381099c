"""From words, whoever says them, to a question. Each refusal names its option."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rollouts.errors import Fault, Invalid
from rollouts.reports.one_off import spelling
from rollouts.reports.one_off.question import (
    INFERENCES,
    Asked,
    Correction,
    Question,
    Setup,
    When,
)

Held = TypeVar("Held")
MOST_METRICS, MOST_SEGMENTS, MOST_COVARIATES = 200, 20, 20
NEEDS: dict[Setup, tuple[str, ...]] = {
    Setup.RANDOMISED: ("unit", "variation", "control"),
    Setup.CLUSTER: ("group", "variation", "control"),
    Setup.SWITCHBACK: ("time", "variation", "control"),
    Setup.DIFFERENCES: ("time", "group", "start"),
    Setup.SYNTHETIC: ("time", "group", "start"),
    Setup.INTERRUPTED: ("time", "start"),
}
BEFORE = (
    "--covariate and --stratify sharpen a comparison only if the change could not have touched the "
    "column. If each value was fixed before that customer first saw either version, say so with "
    "--before-exposure; if not, leave the column out."
)


def read_question(table: Any, given: Mapping[str, Any], *, file: Path, name: str) -> Question:
    """Understand the options. Raises Invalid naming the one that does not fit."""
    setup = _word(Setup, "--design", given.get("design") or "randomised")
    metrics = _metrics(table, given.get("metrics") or ())
    question = Question(
        file=file,
        name=name,
        unit=given.get("unit"),
        variation=given.get("variation"),
        control=given.get("control"),
        metrics=metrics,
        segments=_few("--segment", given.get("segments") or (), MOST_SEGMENTS),
        shares=spelling.shares(given.get("shares")),
        level=_share(given, "level", 0.95),
        covariates=_few("--covariate", given.get("covariates") or (), MOST_COVARIATES),
        strata=_few("--stratify", given.get("strata") or (), 5),
        before_exposure=bool(given.get("before_exposure")),
        limits=_by_metric(metrics, "--limit", given.get("limits") or (), spelling.limit),
        goals=_by_metric(metrics, "--goal", given.get("goals") or (), spelling.good),
        watched=_by_metric(metrics, "--watch", given.get("watched") or (), spelling.good),
        correction=_word(Correction, "--correction", given.get("correction") or "holm"),
        alpha=_share(given, "alpha", (1 - _share(given, "level", 0.95)) / 2),
        power=_share(given, "power", 0.8),
        setup=setup,
        when=_when(given),
    )
    _check(question)
    return question


def _when(given: Mapping[str, Any]) -> When:
    inference = given.get("inference") or "cr2"
    if inference not in INFERENCES:
        _refuse("--inference", f"must be cr2 or wild, not {inference!r}")
    season = given.get("season")
    if season is not None and season != 0 and season < 2:
        _refuse("--season", f"must be 2 periods or more, or 0 for none, not {season}")
    return When(
        time=given.get("time"),
        every=given.get("every"),
        group=given.get("group"),
        treated=tuple(given.get("treated") or ()),
        start=given.get("start"),
        season=season,
        empty_is_zero=bool(given.get("empty_is_zero")),
        inference=inference,
    )


def _check(question: Question) -> None:
    for option in NEEDS[question.setup]:
        held = getattr(question, option, None) or getattr(question.when, option, None)
        if not held:
            _refuse(f"--{option}", f"a {question.setup} design needs it")
    if question.setup in (Setup.DIFFERENCES, Setup.SYNTHETIC):
        by_column = question.variation and question.control
        if not question.when.treated and not by_column:
            _refuse(
                "--treated", "say which groups got the change, or give --variation and --control"
            )
    strata_shape_the_periods = question.setup is Setup.SWITCHBACK
    sharpened = question.covariates or (question.strata and not strata_shape_the_periods)
    if sharpened and question.setup is not Setup.RANDOMISED:
        _refuse("--covariate", f"a {question.setup} design takes no covariates or strata")
    if sharpened and not question.before_exposure:
        raise Invalid(BEFORE, faults=(Fault("--before-exposure", "not declared"),))
    outcomes = {c for m in question.metrics for c in (m.column.column, m.column.other) if c}
    for column in (*question.covariates, *question.strata):
        if column in outcomes:
            _refuse(
                "--covariate", f"{column!r} is an outcome here, so the change may have touched it"
            )
        if column in (question.unit, question.variation):
            _refuse("--covariate", f"{column!r} is the unit or the variation itself")
    if question.segments and question.setup is not Setup.RANDOMISED:
        _refuse("--segment", f"a {question.setup} design is not cut into segments")


def _metrics(table: Any, texts: Sequence[str]) -> tuple[Asked, ...]:
    if not texts:
        _refuse("--metric", "name at least one column to compare")
    if len(texts) > MOST_METRICS:
        _refuse("--metric", f"at most {MOST_METRICS} at once, not {len(texts)}")
    return spelling.named([spelling.metric(table, text) for text in texts])


def _by_metric(
    metrics: tuple[Asked, ...],
    option: str,
    texts: Sequence[str],
    read: Callable[[str, str], Held],
) -> dict[str, Held]:
    held: dict[str, Held] = {}
    for text in texts:
        asked, value = spelling.find(metrics, option, text)
        if asked.name in held:
            _refuse(option, f"{asked.name} is given twice")
        held[asked.name] = read(option, value)
    return held


def _word(kind: Callable[[str], Held], option: str, text: str) -> Held:
    try:
        return kind(text)
    except ValueError:
        words = ", ".join(str(item) for item in kind)  # type: ignore[attr-defined]
        raise Invalid(
            f"{option} must be one of {words}, not {text!r}.",
            faults=(Fault(option, f"must be one of {words}"),),
        ) from None


def _share(given: Mapping[str, Any], name: str, default: float) -> float:
    value = given.get(name)
    held = default if value is None else float(value)
    if not 0 < held < 1:
        _refuse(f"--{name}", f"must lie between 0 and 1, such as {default:g}, not {held:g}")
    return held


def _few(option: str, columns: Sequence[str], most: int) -> tuple[str, ...]:
    if len(columns) > most:
        _refuse(option, f"at most {most}, not {len(columns)}")
    return tuple(dict.fromkeys(columns))


def _refuse(option: str, problem: str) -> None:
    raise Invalid(f"{option}: {problem}.", faults=(Fault(option, problem),))
