"""The command that gives a report again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from rollouts.reports.one_off.question import Correction, Question, Setup

GOOD = {True: "up", False: "down"}


def spelt(question: Question) -> str:
    """The command, each word quoted as a shell needs it."""
    words = ["rollouts", "analyze", question.name]
    when = question.when
    if question.setup is not Setup.RANDOMISED:
        words += ["--design", question.setup.value]
    for option in ("unit", "variation", "control"):
        words += _one(option, getattr(question, option))
    for option in ("time", "every", "group", "start"):
        words += _one(option, getattr(when, option))
    words += _many("treated", when.treated)
    words += _many("metric", (asked.text for asked in question.metrics))
    words += _many("segment", question.segments)
    words += _many("covariate", question.covariates) + _many("stratify", question.strata)
    words += ["--before-exposure"] if question.before_exposure else []
    words += _many("limit", (f"{name}={limit.text}" for name, limit in question.limits.items()))
    words += _many("goal", (f"{name}={GOOD[good]}" for name, good in question.goals.items()))
    words += _many("watch", (f"{name}={GOOD[good]}" for name, good in question.watched.items()))
    return shlex.join(words + _numbers(question))


def _numbers(question: Question) -> list[str]:
    """Options that are not at their defaults."""
    words, when = [], question.when
    if question.shares:
        shares = ",".join(f"{name}={share:g}" for name, share in question.shares.items())
        words += ["--shares", shares]
    if question.level != 0.95:
        words += ["--level", f"{question.level:g}"]
    if abs(question.alpha - (1 - question.level) / 2) > 1e-12:
        words += ["--alpha", f"{question.alpha:g}"]
    if question.power != 0.8:
        words += ["--power", f"{question.power:g}"]
    if question.correction is not Correction.HOLM:
        words += ["--correction", question.correction.value]
    if when.season is not None:
        words += ["--season", str(when.season)]
    if when.inference != "cr2":
        words += ["--inference", when.inference]
    return words + (["--empty-is-zero"] if when.empty_is_zero else [])


def _one(option: str, value: str | None) -> list[str]:
    return [f"--{option}", value] if value is not None else []


def _many(option: str, values: Iterable[str]) -> list[str]:
    return [word for value in values for word in (f"--{option}", value)]
