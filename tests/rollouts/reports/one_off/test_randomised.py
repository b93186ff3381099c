"""Customers divided at random: every kind and every sharpening, against other computations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from lifelines import KaplanMeierFitter
from lifelines.statistics import logrank_test
from lifelines.utils import restricted_mean_survival_time
from scipy import stats
from statsmodels.stats.multitest import multipletests

from rollouts.errors import Invalid
from tests.rollouts.reports.one_off.tables import (
    ALL,
    RANDOMISED,
    ask,
    customers,
    first,
    write,
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("files") / "t.csv", ALL, customers())


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pd.DataFrame(customers(), columns=list(ALL)).assign(
        new=lambda held: (held["arm"] == "new").astype(float)
    )


def arms(frame: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Control's values and the treatment's."""
    return (
        frame.loc[frame["new"] == 0, column].to_numpy(),
        frame.loc[frame["new"] == 1, column].to_numpy(),
    )


def test_adjustment_is_the_regression_of_statsmodels(file: Path, frame: pd.DataFrame):
    """Two covariates, one of them words: the coefficient of ordinary least squares to 1e-8."""
    found = first(
        ask(
            file,
            metrics=["spent:mean"],
            covariates=["before", "city"],
            before_exposure=True,
            **RANDOMISED,
        )
    )["adjusted"]
    fitted = smf.ols("spent ~ new + before + C(city)", frame).fit()

    assert found["absolute"]["estimate"] == pytest.approx(fitted.params["new"], rel=1e-8)
    width = found["absolute"]["high"] - found["absolute"]["low"]
    assert width == pytest.approx(np.ptp(fitted.conf_int().loc["new"]), rel=0.01)
    explained = smf.ols("spent ~ new + before + C(city)", frame).fit().rsquared
    assert found["gain"] == pytest.approx(explained, abs=0.03)
    assert found["gain"] > 0.5


def test_strata_weigh_by_their_share_of_all(file: Path, frame: pd.DataFrame):
    """Post-stratification, written out by hand with pandas."""
    found = first(
        ask(file, metrics=["spent:mean"], strata=["city"], before_exposure=True, **RANDOMISED)
    )["adjusted"]
    means = frame.pivot_table("spent", "city", "arm")
    shares = frame["city"].value_counts(normalize=True)
    by_hand = float(((means["new"] - means["old"]) * shares).sum())

    assert found["how"] == "strata"
    assert found["absolute"]["estimate"] == pytest.approx(by_hand, rel=1e-10)


def test_the_adjusted_effect_decides(file: Path):
    """Once declared, the adjusted effect is the one that limits are held against."""
    declared = {"covariates": ["before"], "before_exposure": True, **RANDOMISED}
    free = first(ask(file, metrics=["spent"], **declared))
    between = (free["absolute"]["high"] + free["adjusted"]["absolute"]["high"]) / 2
    limit = f"spent=+{between:.4f}"
    alone = first(ask(file, metrics=["spent"], limits=[limit], **RANDOMISED))
    sharper = first(ask(file, metrics=["spent"], limits=[limit], **declared))

    assert (alone["judged"], sharper["judged"]) == ("plain", "adjusted")
    assert alone["finding"]["state"] == "unknown"
    assert sharper["finding"]["state"] == "safe"


def test_a_covariate_must_be_declared_and_must_look_untouched(file: Path, tmp_path: Path):
    """Undeclared it is refused; declared but different between the versions it adjusts nothing."""
    with pytest.raises(Invalid, match="before-exposure"):
        ask(file, metrics=["spent"], covariates=["before"], **RANDOMISED)
    rows = [[i, ("old", "new")[i % 2], i % 7, i % 5 + 4 * (i % 2)] for i in range(400)]
    touched = write(tmp_path / "t.csv", ("who", "arm", "spent", "after"), rows)
    report = ask(
        touched, metrics=["spent:mean"], covariates=["after"], before_exposure=True, **RANDOMISED
    )

    assert "differs between the variations" in first(report)["adjusted"]["undecided"]["reason"]
    assert first(report)["judged"] == "plain"
    assert report["grade"]["grade"] == "none"


def test_times_agree_with_lifelines(file: Path, frame: pd.DataFrame):
    """Restricted means, the share by a day, and the log-rank test."""
    report = ask(file, metrics=["days:time/left,horizon=20"], **RANDOMISED)
    by = first(ask(file, metrics=["days:time/left,by=12"], **RANDOMISED))["absolute"]["estimate"]
    curves = []
    for new in (0.0, 1.0):
        held = frame[frame["new"] == new]
        curves.append(KaplanMeierFitter().fit(held["days"], held["left"]))
    means = [restricted_mean_survival_time(curve, t=20) for curve in curves]
    test = logrank_test(
        *arms(frame, "days"),
        event_observed_A=arms(frame, "left")[0],
        event_observed_B=arms(frame, "left")[1],
    )

    assert first(report)["absolute"]["estimate"] == pytest.approx(means[1] - means[0], rel=1e-8)
    assert first(report)["tests"][0]["p_value"] == pytest.approx(test.p_value, rel=1e-8)
    shares = [float(1 - curve.predict(12)) for curve in curves]
    assert by == pytest.approx(shares[1] - shares[0], rel=1e-8)


def test_grades_answer_four_questions(file: Path, frame: pd.DataFrame):
    """Chance to be higher, top box, bottom box, and the rank test beside them."""
    metrics = ["stars:ordinal", "stars:top4", "stars:bottom2"]
    report = ask(file, metrics=metrics, **RANDOMISED)
    effects = [metric["effects"][0] for metric in report["metrics"]]
    control, treatment = arms(frame, "stars")
    rank = stats.mannwhitneyu(treatment, control, method="asymptotic", use_continuity=False)

    assert effects[0]["tests"][0]["p_value"] == pytest.approx(rank.pvalue, rel=1e-8)
    higher = 2 * rank.statistic / len(control) / len(treatment) - 1
    assert effects[0]["absolute"]["estimate"] == pytest.approx(higher, abs=1e-12)
    top = (treatment >= 4).mean() - (control >= 4).mean()
    assert effects[1]["absolute"]["estimate"] == pytest.approx(top, abs=1e-12)
    low = (treatment <= 2).mean() - (control <= 2).mean()
    assert effects[2]["absolute"]["estimate"] == pytest.approx(low, abs=1e-12)
    assert [metric["name"] for metric in report["metrics"]] == metrics


def test_spread_quantile_ratio_and_cap(file: Path, frame: pd.DataFrame):
    """The other kinds, each beside numpy and scipy."""
    metrics = ["spent:spread", "days:p90", "calls:ratio/contacts", "before:sum,cap=p95"]
    report = ask(file, metrics=metrics, **RANDOMISED)
    spread, p90, ratio, capped = (metric["effects"][0] for metric in report["metrics"])

    levene = stats.levene(*arms(frame, "spent"), center="median").pvalue
    assert spread["tests"][0]["p_value"] == pytest.approx(levene, rel=1e-8)
    control, treatment = arms(frame, "days")
    ranks = [np.quantile(arm, 0.9, method="averaged_inverted_cdf") for arm in (control, treatment)]
    assert p90["absolute"]["estimate"] == pytest.approx(ranks[1] - ranks[0], rel=1e-9)
    sums = [arms(frame, "calls")[i].sum() / arms(frame, "contacts")[i].sum() for i in (0, 1)]
    assert ratio["absolute"]["estimate"] == pytest.approx(sums[1] - sums[0], rel=1e-10)
    cap = report["metrics"][3]["arms"][0]["cap"]
    moved = [np.minimum(arm, cap).mean() for arm in arms(frame, "before")]
    assert capped["absolute"]["estimate"] == pytest.approx(moved[1] - moved[0], rel=1e-8)


@pytest.mark.parametrize(("word", "method"), [("holm", "holm"), ("bh", "fdr_bh")])
def test_p_values_are_corrected_over_all_metrics(file: Path, word: str, method: str):
    """As statsmodels corrects them; "none" leaves them alone."""
    metrics = ["spent:mean", "won:proportion", "calls:count", "stars:mean"]
    report = ask(file, metrics=metrics, correction=word, **RANDOMISED)
    effects = [metric["effects"][0] for metric in report["metrics"]]
    raw = [effect["absolute"]["p_value"] for effect in effects]

    expected = multipletests(raw, method=method)[1]
    assert [e["p_value_corrected"] for e in effects] == pytest.approx(list(expected), rel=1e-9)
    alone = ask(file, metrics=metrics, correction="none", **RANDOMISED)
    assert first(alone)["p_value_corrected"] is None


@pytest.mark.parametrize(
    ("limit", "state"), [("won=-40%", "safe"), ("won=+1%", "unknown"), ("calls=+0.5", "safe")]
)
def test_a_limit_makes_one_of_three_findings(file: Path, limit: str, state: str):
    """The whole interval within, beyond, or neither; with what would settle it."""
    metric = limit.partition("=")[0]
    found = first(ask(file, metrics=[metric], limits=[limit], **RANDOMISED))["finding"]

    assert found["state"] == state
    assert bool(found["needs"]) is (state == "unknown")


def test_harm_is_found_and_stops_the_decision(tmp_path: Path):
    """More complaints than tolerated: harm shown, and nothing is shipped, whatever was won."""
    rng = np.random.default_rng(1)
    rows = [
        [i, ("old", "new")[i % 2], int(rng.random() < 0.1 + 0.1 * (i % 2)), rng.normal(i % 2, 1)]
        for i in range(3000)
    ]
    file = write(tmp_path / "t.csv", ("who", "arm", "complained", "spent"), rows)
    report = ask(
        file,
        metrics=["complained", "spent"],
        limits=["complained=+5%"],
        goals=["spent=up"],
        **RANDOMISED,
    )

    assert first(report)["finding"]["state"] == "harm"
    assert report["decisions"][0]["outcome"] == "harm"
    won = ask(file, metrics=["complained", "spent"], goals=["spent=up"], **RANDOMISED)
    assert won["decisions"][0]["outcome"] == "ship"


def test_a_broken_split_overrules_every_finding(tmp_path: Path):
    """Twice as many customers on one side: the decision is that nothing can be judged."""
    rows = [[i, ("old", "new", "new")[i % 3], i % 5 + i % 3] for i in range(3000)]
    file = write(tmp_path / "t.csv", ("who", "arm", "spent"), rows)
    report = ask(file, metrics=["spent"], goals=["spent=up"], **RANDOMISED)
    told = ask(file, metrics=["spent"], goals=["spent=up"], shares="old=1,new=2", **RANDOMISED)

    assert report["decisions"][0]["outcome"] == "invalid"
    assert report["grade"]["grade"] == "none"
    assert told["split"]["state"] == "ok"


def test_segments_are_tested_before_one_is_named(tmp_path: Path):
    """One segment with the opposite effect is named, and is harm under Holm; noise is not."""
    rng = np.random.default_rng(7)
    rows = []
    for i in range(8000):
        treated, city = i % 2, ("Bath", "York", "Hull", "Ely")[(i // 2) % 4]
        gain = treated * (-0.5 if city == "Hull" else 0.5)
        rows.append([i, ("old", "new")[treated], city, 10 + gain + rng.normal(), rng.normal(5)])
    file = write(tmp_path / "t.csv", ("who", "arm", "city", "spent", "noise"), rows)
    report = ask(
        file,
        metrics=["spent", "noise"],
        segments=["city"],
        limits=["spent=-1%"],
        **RANDOMISED,
    )
    spent, noise = (metric["segments"][0] for metric in report["metrics"])

    assert spent["differences"][0]["differs"]
    assert "Hull" in spent["differences"][0]["reading"]
    assert spent["worst"][0]["overall"] == "harm"
    assert spent["worst"][0]["findings"]["Hull"] == "harm"
    assert not noise["differences"][0]["differs"]
    pulled = {item["value"]: item for item in spent["differences"][0]["segments"]}
    raw = {item["value"]: item["relative"]["estimate"] for item in spent["values"]}
    assert raw["Hull"] < pulled["Hull"]["shrunken"] < 0


def test_what_a_file_could_have_shown_shrinks_with_its_size(tmp_path: Path):
    """A hundred times the customers find a tenth of the change."""
    sizes = []
    for n in (400, 40_000):
        rows = [[i, ("old", "new")[i % 2], (i * 7919) % 11] for i in range(n)]
        report = ask(
            write(tmp_path / f"{n}.csv", ("who", "arm", "x"), rows),
            metrics=["x:mean"],
            **RANDOMISED,
        )
        sizes.append(first(report)["could_show"]["change"])

    assert sizes[0] / sizes[1] == pytest.approx(10, rel=0.05)


def test_gaps_that_differ_between_versions_are_a_warning(tmp_path: Path):
    """More unanswered surveys on one side: the grade falls, and says why."""
    rows = [
        [i, ("old", "new")[i % 2], "" if i % 10 < (2 if i % 2 else 6) else i % 5 + 1]
        for i in range(2000)
    ]
    file = write(tmp_path / "t.csv", ("who", "arm", "stars"), rows)
    report = ask(file, metrics=["stars:mean"], **RANDOMISED)

    (gaps,) = [check for check in report["checks"] if check["name"] == "gaps in stars"]
    assert gaps["state"] == "warning"
    assert report["grade"]["grade"] == "weak"


def test_gaps_in_a_share_are_bounded_by_the_worst_and_best_case(tmp_path: Path):
    """All of the silent for it, or none: written out by hand."""
    rows = [[i, ("old", "new")[i % 2], "" if i % 8 == 0 else int(i % 3 == 0)] for i in range(1200)]
    file = write(tmp_path / "t.csv", ("who", "arm", "happy"), rows)
    found = first(ask(file, metrics=["happy"], **RANDOMISED))["bounds"]
    yes = [sum(r[2] == 1 for r in rows if r[1] == arm) for arm in ("old", "new")]
    silent = sum(r[2] == "" for r in rows if r[1] == "old")

    assert found["low"] == pytest.approx((yes[1] - yes[0] - silent) / 600, abs=1e-12)
    assert found["high"] == pytest.approx((yes[1] - yes[0]) / 600, abs=1e-12)
    assert found["outer_low"] < found["low"]
    assert found["outer_high"] > found["high"]


def test_words_that_mean_nothing_or_yes_are_understood(tmp_path: Path):
    """NA is missing, true is one, and a version called "no" stays what it is."""
    rows = [
        [i, ("no", "yes")[i % 2], "NA" if i % 9 == 0 else str(i % 4 == 0).lower()]
        for i in range(90)
    ]
    file = write(tmp_path / "t.csv", ("who", "arm", "won"), rows)
    report = ask(file, unit="who", variation="arm", control="no", metrics=["won"])
    control = report["metrics"][0]["arms"][0]

    assert report["metrics"][0]["kind"] == "proportion"
    assert (control["variation"], control["n_missing"]) == ("no", 5)


def test_hillstrom_adjusted_agrees_with_statsmodels(shared: Path):
    """Sixty-four thousand customers, three versions, four covariates."""
    path = shared / "data" / "hillstrom.csv.gz"
    frame = pd.read_csv(path)
    report = ask(
        path,
        unit="customer_id",
        variation="segment",
        control="No E-Mail",
        metrics=["spend:sum", "visit:proportion"],
        covariates=["history", "recency", "newbie"],
        before_exposure=True,
    )
    for metric in report["metrics"]:
        for effect in metric["effects"]:
            held = frame[frame["segment"].isin(["No E-Mail", effect["variation"]])].assign(
                new=lambda held: (held["segment"] != "No E-Mail").astype(float)
            )
            fitted = smf.ols(f"{metric['name']} ~ new + history + recency + newbie", held).fit()
            found = effect["adjusted"]["absolute"]["estimate"]
            assert found == pytest.approx(fitted.params["new"], rel=1e-7)
