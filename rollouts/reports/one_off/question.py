"""What is asked of a file: plain data, whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from analysis.clusters import Inference
from analysis.compare import Ask
from analysis.effect import Scale
from analysis.quality import Design
from analysis.rows import MetricColumn


class Correction(StrEnum):
    """How p-values are corrected for looking at several metrics and variations."""

    HOLM = "holm"
    BH = "bh"
    NONE = "none"


class Setup(StrEnum):
    """How the comparison came about, as it is said on the command line."""

    RANDOMISED = "randomised"
    CLUSTER = "cluster"
    SWITCHBACK = "switchback"
    DIFFERENCES = "differences"
    SYNTHETIC = "synthetic"
    INTERRUPTED = "interrupted"

    @property
    def design(self) -> Design:
        """The same for the grade of the evidence."""
        return _DESIGNS[self]

    @property
    def is_randomised(self) -> bool:
        """Whether chance decided who got the change."""
        return self in (Setup.RANDOMISED, Setup.CLUSTER, Setup.SWITCHBACK)


_DESIGNS = {
    Setup.RANDOMISED: Design.RANDOMISED,
    Setup.CLUSTER: Design.CLUSTERED,
    Setup.SWITCHBACK: Design.SWITCHBACK,
    Setup.DIFFERENCES: Design.DIFFERENCES,
    Setup.SYNTHETIC: Design.SYNTHETIC,
    Setup.INTERRUPTED: Design.INTERRUPTED,
}
INFERENCES = {"cr2": Inference.CR2, "wild": Inference.WILD}


@dataclass(frozen=True, slots=True)
class Asked:
    """One metric that is asked for, as it was spelt, and what is asked of it."""

    column: MetricColumn
    ask: Ask
    text: str

    @property
    def name(self) -> str:
        """What it is called in the report."""
        return self.column.name


@dataclass(frozen=True, slots=True)
class Limit:
    """The worsening that is tolerated of a metric. margin: 0 or more, on its scale."""

    margin: float
    scale: Scale
    higher_is_better: bool
    text: str


@dataclass(frozen=True, slots=True)
class When:
    """Time, groups and start, for designs that are not of single customers."""

    time: str | None = None
    every: str | None = None
    group: str | None = None
    treated: tuple[str, ...] = ()
    start: str | None = None
    season: int | None = None  # periods per cycle; 0 for none; None: 7 for days, else none
    empty_is_zero: bool = False
    inference: str = "cr2"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a file. name: how the file is called in the report."""

    file: Path
    name: str
    unit: str | None
    variation: str | None
    control: str | None
    metrics: tuple[Asked, ...]
    segments: tuple[str, ...] = ()
    shares: Mapping[str, float] | None = None  # configured; None: equal
    level: float = 0.95
    covariates: tuple[str, ...] = ()
    strata: tuple[str, ...] = ()
    before_exposure: bool = False
    limits: Mapping[str, Limit] = field(default_factory=dict)
    goals: Mapping[str, bool] = field(default_factory=dict)  # whether more is better
    watched: Mapping[str, bool] = field(default_factory=dict)
    correction: Correction = Correction.HOLM
    alpha: float = 0.025
    power: float = 0.8
    setup: Setup = Setup.RANDOMISED
    when: When = field(default_factory=When)

    @property
    def is_judged(self) -> bool:
        """Whether anything is asked beyond effects: limits or goals."""
        return bool(self.limits or self.goals or self.watched)

    def higher_is_better(self, name: str) -> bool | None:
        """Which way is good for a metric; None if nobody said."""
        if name in self.limits:
            return self.limits[name].higher_is_better
        return self.goals.get(name, self.watched.get(name))
