"""Each kind of metric through API, ingest, ledger and look, against other people's statistics."""

import csv
import io
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from analysis.inputs import z_quantile
from analysis.sequence import half_width, tightest
from tests.factories.story import JSON, Story, did, plan, seen

N = 300

AVERAGE = {"event": "handled", "aggregation": "average", "good": "down"}
STARS = {"event": "survey", "aggregation": "average", "good": "up"}
ASKED = {"lowest": 1, "highest": 5, "asked": {"event": "asked"}}
KINDS: dict[str, dict[str, Any]] = {
    "p90-events": {**AVERAGE, "statistic": "quantile", "quantile": 0.9, "per": "event"},
    "p90-units": {**AVERAGE, "aggregation": "sum", "statistic": "quantile", "quantile": 0.9},
    "p10-units": {**AVERAGE, "statistic": "quantile", "quantile": 0.1},
    "cut": {**AVERAGE, "aggregation": "sum", "cap_quantile": 0.9},
    "variance": {**AVERAGE, "statistic": "variance"},
    "spread": {**AVERAGE, "statistic": "spread"},
    "top": {**STARS, "statistic": "top_box", "top_from": 4, "survey": ASKED},
    "low": {**STARS, "good": "down", "statistic": "low_box", "low_to": 2, "survey": ASKED},
    "grade": {**STARS, "statistic": "grade", "survey": ASKED},
    "csat": {**STARS, "survey": ASKED},
    "nps": {
        "event": "recommend",
        "aggregation": "average",
        "good": "up",
        "statistic": "nps",
        "survey": {"lowest": 0, "highest": 10},
    },
}
ABSOLUTE = {"grade", "nps", "top", "low"}


@dataclass
class Lives:
    """What one version's customers did."""

    handled: list[list[float]] = field(default_factory=list)
    stars: list[int | None] = field(default_factory=list)
    asked: list[bool] = field(default_factory=list)
    score: list[int | None] = field(default_factory=list)

    @property
    def answers(self) -> np.ndarray:
        """The stars that were given."""
        return np.array([held for held in self.stars if held is not None], dtype=float)


def told() -> dict[str, Lives]:
    """The new version takes half as long again, and fewer are happy."""
    draw = random.Random(5)
    held = {"control": Lives(), "new": Lives()}
    for arm, lives in held.items():
        slow, weights = (1.5, (2, 2, 2, 2, 2)) if arm == "new" else (1.0, (1, 1, 2, 3, 3))
        for _ in range(N):
            own = draw.expovariate(0.2) * slow  # a slow customer is slow each time
            lives.handled.append([own + draw.random() for _ in range(draw.randrange(4))])
            is_asked = draw.random() < 0.8
            answers = is_asked and draw.random() < (0.7 if arm == "control" else 0.4)
            lives.asked.append(is_asked)
            lives.stars.append(draw.choices((1, 2, 3, 4, 5), weights)[0] if answers else None)
            lives.score.append(draw.choices((3, 8, 10), weights[:3])[0] if answers else None)
    return held


def events(held: Mapping[str, Lives], n: int = N) -> list[JSON]:
    """The same as they are sent."""
    sent: list[JSON] = []
    for arm, lives in held.items():
        for i in range(n):
            unit = f"{arm}{i}"
            sent.append(seen(unit, arm, "kinds"))
            sent += [did(unit, "handled", n, value=v) for n, v in enumerate(lives.handled[i])]
            sent += [did(unit, "asked")] if lives.asked[i] else []
            sent += [did(unit, "survey", value=lives.stars[i])] if lives.stars[i] else []
            sent += [did(unit, "recommend", value=lives.score[i])] if lives.score[i] else []
    return sent


@pytest.fixture
def story(api: FlaskClient) -> Story:
    """A running rollout with a guardrail on each kind."""
    story = Story(api)
    story.set_up()
    for key, body in KINDS.items():
        story.post("/metrics", {"key": key, "name": key, **body})
    rails = [
        {
            "metric": key,
            "margin": 0.1,
            "action": "observe",
            "scale": "absolute" if key in ABSOLUTE else "relative",
        }
        for key in KINDS
    ]
    body = plan(key="kinds", guardrails=rails, goals=[], planned_units=2 * N)
    story.post("/rollouts", body)
    story.post("/rollouts/kinds/start")
    return story


def metrics_of(body: JSON) -> dict[str, Any]:
    """A snapshot's metrics by key."""
    return {item["key"]: item for item in body["arms"][0]["metrics"]}


def widened(limits: tuple[float, float], estimate: float, level: float, n: int) -> Any:
    """An interval for one look as the confidence sequence that starts from it."""
    alpha = 1 - level
    wider = half_width(alpha, n / (2 * N) * tightest(alpha)) / z_quantile(level)
    return pytest.approx(
        [estimate - wider * (estimate - limits[0]), estimate + wider * (limits[1] - estimate)],
        rel=1e-6,
        abs=1e-9,
    )


def test_every_kind_agrees_with_independent_statistics(story: Story):
    """Estimates on both scales and intervals, recomputed from what was sent."""
    held = told()
    story.send(events(held))

    found = metrics_of(story.look("kinds"))

    old, new = held["control"], held["new"]
    for key, item in found.items():
        assert item["finding"] in ("harm", "safe", "unknown"), key
        for effect in (item["relative"], item["absolute"]):
            assert effect is None or effect["validity"] == "anytime", key
            assert effect is None or effect["low"] <= effect["estimate"] <= effect["high"], key

    # Quantiles: of all events, and of one number each.
    flat = [np.concatenate([np.array(h) for h in arm.handled if h]) for arm in (old, new)]
    q = [np.quantile(arm, 0.9, method="averaged_inverted_cdf") for arm in flat]
    _both(found["p90-events"], *q)
    sums = [np.array([sum(h) for h in arm.handled]) for arm in (old, new)]
    _both(
        found["p90-units"],
        *(np.quantile(arm, 0.9, method="averaged_inverted_cdf") for arm in sums),
    )
    means = [np.array([np.mean(h) for h in arm.handled if h]) for arm in (old, new)]
    _both(
        found["p10-units"],
        *(np.quantile(arm, 0.1, method="averaged_inverted_cdf") for arm in means),
    )

    # Far values cut at the quantile of both versions together.
    pooled = np.concatenate(sums)
    limit = np.sort(pooled[pooled > 0])[int(np.ceil((pooled > 0).sum() * 0.9)) - 1]
    cut = [np.minimum(arm, limit) for arm in sums]
    assert found["cut"]["cut"] == {"quantile": 0.9, "limit": limit, "is_fixed": True}
    assert found["cut"]["treatment"]["mean"] == pytest.approx(cut[1].mean())
    _both(found["cut"], cut[0].mean(), cut[1].mean())

    # Dispersion.
    _both(found["variance"], *(arm.var(ddof=1) for arm in means))
    _both(found["spread"], *(np.abs(arm - np.median(arm)).mean() for arm in means))

    # Grades.
    stars = [old.answers, new.answers]
    n = sum(arm.size for arm in stars)
    for key, good in (("top", lambda arm: arm >= 4), ("low", lambda arm: arm <= 2)):
        counts = [int(good(arm).sum()) for arm in stars]
        shares = [count / arm.size for count, arm in zip(counts, stars, strict=True)]
        _both(found[key], *shares)
        level = found[key]["absolute"]["level"]
        limits = confint_proportions_2indep(
            counts[1], stars[1].size, counts[0], stars[0].size, method="newcomb", alpha=1 - level
        )
        ours = found[key]["absolute"]
        theirs = widened(limits, ours["estimate"], level, n)
        assert [ours["low"], ours["high"]] == pytest.approx(theirs.expected, abs=0.01)
    u = stats.mannwhitneyu(stars[1], stars[0], method="asymptotic").statistic
    chance = u / (stars[0].size * stars[1].size)
    assert found["grade"]["absolute"]["estimate"] == pytest.approx(2 * chance - 1)
    assert found["csat"]["treatment"]["mean"] == pytest.approx(stars[1].mean())
    scores = [np.array([s for s in arm.score if s is not None]) for arm in (old, new)]
    signs = [np.where(s >= 9, 1.0, np.where(s <= 6, -1.0, 0.0)) for s in scores]
    ours = found["nps"]["absolute"]
    welch = CompareMeans(DescrStatsW(signs[1]), DescrStatsW(signs[0])).tconfint_diff(
        alpha=1 - ours["level"], usevar="unequal"
    )
    assert [ours["low"], ours["high"]] == widened(
        welch, ours["estimate"], ours["level"], sum(s.size for s in signs)
    )


def _both(item: JSON, old: float, new: float) -> None:
    """Both effects, and both levels where the kind has its own."""
    assert item["absolute"] is None or item["absolute"]["estimate"] == pytest.approx(new - old)
    assert item["relative"]["estimate"] == pytest.approx(new / old - 1, rel=1e-6)
    if item["levels"] is not None:
        levels = [item["levels"][arm] for arm in ("control", "treatment")]
        assert levels == pytest.approx([old, new])
        assert item["levels"]["note"]


def test_surveys_tell_who_answered_and_what_the_others_could_change(story: Story):
    """Fewer of the new version's customers answer: it is told, graded, and bounded."""
    held = told()
    story.send(events(held))

    body = story.look("kinds")

    old, new = held["control"], held["new"]
    survey = metrics_of(body)["csat"]["survey"]
    for arm, lives in (("control", old), ("treatment", new)):
        assert survey[arm]["asked"] == sum(lives.asked)
        assert survey[arm]["answered"] == lives.answers.size
        assert survey[arm]["low"] < survey[arm]["rate"] < survey[arm]["high"]
    assert survey["difference"]["high"] < 0
    silent = [sum(arm.asked) - arm.answers.size for arm in (old, new)]
    low, high = (
        np.append(new.answers, [a] * silent[1]).mean()
        - np.append(old.answers, [b] * silent[0]).mean()
        for a, b in ((1, 5), (5, 1))
    )
    bounds = survey["bounds"]
    assert [bounds["low"], bounds["high"]] == pytest.approx([low, high])
    assert bounds["outer_low"] < low < bounds["among_answers"] < high < bounds["outer_high"]
    checks = {check["key"]: check for check in body["evidence"]["checks"]}
    assert checks["response:csat"]["state"] == "warn"
    assert "compare the bounds" in checks["response:csat"]["reason"]
    assert any(line["key"] == "response:csat" for line in body["quality"])
    # Without a survey's own event everybody who met a version counts as asked.
    everybody = metrics_of(body)["nps"]["survey"]
    assert everybody["is_everybody"]
    assert everybody["control"]["asked"] == N


def test_each_kind_says_what_it_needs_while_there_is_too_little(story: Story):
    """Three customers are no evidence: every effect is absent, with a reason and a need."""
    held = {arm: Lives([[4.0]] * 3, [5] * 3, [True] * 3, [9] * 3) for arm in ("control", "new")}
    story.send(events(held, 3))

    body = story.look("kinds")

    for key, item in metrics_of(body).items():
        assert item["relative"] is None, key
        assert item["absolute"] is None, key
        assert item["finding"] == "unknown", key
        assert item["undecided"]["reason"], key
        assert item["needs"], key


def test_a_survey_whose_answers_leave_its_scale_is_not_bounded(story: Story):
    """A seven on a question from 1 to 5 says that the metric is wrong."""
    held = {arm: Lives([[4.0]] * 3, [7] * 3, [True] * 3, [9] * 3) for arm in ("control", "new")}
    story.send(events(held, 3))

    survey = metrics_of(story.look("kinds"))["csat"]["survey"]

    assert survey["bounds"] is None
    assert "outside the grades" in survey["reason"]


def test_the_report_tells_each_kind_in_its_own_form(story: Story):
    """Quantiles as such, shares and scores in points, who answered, and the same in the CSV."""
    story.send(events(told()))
    snapshot = story.look("kinds")["id"]

    page = story.client.get(f"/rollouts/kinds/report/{snapshot}").text
    rows = csv.DictReader(
        io.StringIO(story.client.get(f"/rollouts/kinds/report/{snapshot}.csv").text)
    )

    for words in (
        "90 % quantile of events",
        "promoters less detractors",
        "graded 2 or worse",
        "Who answered",
        "Whatever the silent think",
        "cut at the 90 % quantile of those who have any",
    ):
        assert words in page, words
    assert re.search(r"It vanishes if those silent .* given [1-5]", page)
    by_key = {row["metric"]: row for row in rows}
    assert float(by_key["p90-events"]["new_level"]) > float(by_key["p90-events"]["control_level"])
    assert by_key["csat"]["control_asked"] != by_key["nps"]["control_asked"]
    assert float(by_key["csat"]["unanswered_low"]) < float(by_key["csat"]["unanswered_high"])
    assert float(by_key["cut"]["cut_at"]) > 0
