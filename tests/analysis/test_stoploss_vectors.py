"""The recipe's reference vectors, where a checkout has the shared data beside it."""

import json
from pathlib import Path

import pytest

from analysis.spending import Spending
from analysis.stoploss import Stratum, share_statistic

FILE = Path(__file__).resolve().parents[2].parent / "shared" / "stoploss_vectors.json"
pytestmark = pytest.mark.skipif(not FILE.exists(), reason="no shared reference vectors here")


def vectors(part):
    return json.loads(FILE.read_text())[part] if FILE.exists() else []


@pytest.mark.parametrize("vector", vectors("statistic"))
def test_the_statistic_reproduces_the_reference(vector):
    """Every figure agrees to all eight decimals that the reference gives."""
    strata = [
        Stratum(**{name.lower(): value for name, value in stratum.items()})
        for stratum in vector["strata"]
    ]

    found = share_statistic(
        strata,
        kind=vector["kind"],
        sign=vector["s"],
        tolerance=vector["d"],
        side=vector["side"],
    )

    assert found.ready
    for name in ("r", "phi", "information", "effective", "min_arm"):
        assert getattr(found, name) == pytest.approx(vector[name], rel=0, abs=1e-8), name


@pytest.mark.parametrize("vector", vectors("boundary"))
def test_the_boundary_reproduces_the_reference(vector):
    """Boundary, reserve and alpha spent agree to the digits given, through stored states too."""
    spending = Spending(vector["alpha"], vector["planned"])

    for k, information in enumerate(vector["information"]):
        last = k + 1 == len(vector["information"])
        stored = json.loads(json.dumps(spending.to_dict()))
        spending = Spending.from_dict(stored).advance(information, deadline=last)

        assert spending.boundary == pytest.approx(vector["boundary"][k], rel=0, abs=5.1e-5)
        assert spending.reserve == pytest.approx(vector["reserve"][k], rel=0, abs=5.1e-5)
    assert spending.spent == pytest.approx(vector["spent"], rel=1e-12)
