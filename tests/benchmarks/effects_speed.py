"""How long the effects of 200 metrics take, over 3 variations and 20 segments, from their sums.

Run by `python -m tests.benchmarks.effects_speed`. Seconds are processor time, which a busy machine
lengthens less than the clock's. The yardstick is spotify-confidence: 40 ms a metric, measured for
one comparison, of which a twentieth is the aim; `--spotify PYTHON` measures it anew, beside ours,
under a Python that has it.
"""

import argparse
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from analysis import mean, proportion, ratio
from analysis.effect import Effect, Undecided
from analysis.operating import Plan, Stage, operating_characteristics
from analysis.populations import proportion as proportion_of
from analysis.summary import PairSummary, Summary

METRICS, VARIATIONS, SEGMENTS = 200, 3, 20
YARDSTICK = 0.040  # seconds a metric: spotify-confidence
AIM = 1.0  # seconds for everything
OPERATING_AIM, REPLICATIONS = 5.0, 2000
RARE = 0.05  # share of metrics whose events are few enough for the exact interval

# One metric, one comparison, absolute and relative, as its own manual does it.
SPOTIFY = """
import time, warnings
warnings.filterwarnings("ignore")
import pandas, spotify_confidence
def once():
    frame = pandas.DataFrame({"arm": ["control", "new"], "n": [20000, 20100],
                              "total": [4000, 4150], "squares": [9000.0, 9500.0]})
    test = spotify_confidence.ZTest(
        frame, numerator_column="total", numerator_sum_squares_column="squares",
        denominator_column="n", categorical_group_columns="arm")
    for absolute in (True, False):
        test.difference(level_1="control", level_2="new", absolute=absolute)
once()
started = time.process_time()
for _ in range(20):
    once()
print((time.process_time() - started) / 20)
"""

Compare = Callable[..., Effect | Undecided]


def arms(draw: np.random.Generator) -> Iterator[tuple[tuple[Compare, Compare], list[list[object]]]]:
    """Per metric: how it is compared, and its sums by segment and variation."""
    kinds = draw.choice(
        ["proportion", "rare", "mean", "ratio"], METRICS, p=[0.4 - RARE, RARE, 0.4, 0.2]
    )
    for kind in kinds:
        rate = 0.0005 if kind == "rare" else draw.uniform(0.02, 0.5)
        compare: tuple[Compare, Compare] = (proportion.difference, proportion.relative)
        if kind == "mean":
            compare = (mean.difference, mean.relative)
        if kind == "ratio":
            compare = (ratio.difference, ratio.relative)
        yield (
            compare,
            [[sums(draw, str(kind), rate) for _ in range(VARIATIONS)] for _ in range(SEGMENTS)],
        )


def sums(draw: np.random.Generator, kind: str, rate: float) -> object:
    """One variation's sums in one segment."""
    n = int(draw.integers(5_000, 50_000))
    if kind in ("proportion", "rare"):
        events = float(draw.binomial(n, rate))
        return Summary(n, events, events)
    total = float(draw.poisson(n * rate))
    if kind == "mean":
        return Summary(n, total, total * draw.uniform(1.5, 3))
    return PairSummary(n, total, 3.0 * n, total * 2, 12.0 * n, total * 4)


def measure() -> tuple[int, int, float, float]:
    """Effects computed, answers undecided, seconds for all, seconds for one comparison each."""
    held = list(arms(np.random.default_rng(1)))
    started = time.process_time()
    found = [
        effect(segment[0], treatment)
        for compare, segments in held
        for segment in segments
        for treatment in segment[1:]
        for effect in compare
    ]
    whole = time.process_time() - started
    started = time.process_time()
    for compare, segments in held:
        for effect in compare:
            effect(segments[0][0], segments[0][1])
    single = time.process_time() - started
    return len(found), sum(not answer for answer in found), whole, single


def operating() -> float:
    """Seconds for a plan's operating characteristics: 2,000 rollouts of 100 looks, 4 truths."""
    stages = (Stage(20, 500), Stage(30, 1000), Stage(50, 2000))
    started = time.process_time()
    operating_characteristics(
        Plan(proportion_of(0.05), 1, 0.1, stages), replications=REPLICATIONS, seed=1
    )
    return time.process_time() - started


def spotify(python: str) -> float:
    """Seconds a metric that spotify-confidence needs, under a Python that has it."""
    told = subprocess.run([python, "-c", SPOTIFY], check=True, capture_output=True, text=True)
    return float(told.stdout.split()[-1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the time, and how it compares with the aim and the yardstick."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spotify", metavar="PYTHON", help="a Python that has spotify-confidence")
    chosen = parser.parse_args(arguments)
    effects, undecided, whole, single = measure()
    each = single / METRICS
    print(f"{METRICS} metrics x {VARIATIONS} variations x {SEGMENTS} segments, both scales")
    print(f"{effects} effects ({undecided} undecided): {whole:.2f} s; aim: below {AIM:.0f} s")
    print(f"one comparison, absolute and relative: {1000 * each:.3f} ms a metric")
    print(
        f"operating characteristics, {REPLICATIONS:,} rollouts x 100 looks: {operating():.1f} s; "
        f"aim: below {OPERATING_AIM:.0f} s"
    )
    beside = spotify(chosen.spotify) if chosen.spotify else YARDSTICK
    how = "just measured" if chosen.spotify else "as measured before"
    print(
        f"spotify-confidence needs {1000 * beside:.0f} ms ({how}): {beside / each:.0f} times as long"
    )


if __name__ == "__main__":
    main()
