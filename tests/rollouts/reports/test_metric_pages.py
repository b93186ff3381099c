"""Metrics made and changed in the client."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from rollouts.accounts.model import Role
from rollouts.db import Database
from rollouts.metrics.bodies import MetricBody
from rollouts.metrics.model import (
    Aggregation,
    Definition,
    Direction,
    Filter,
    Operator,
    Per,
    Selector,
    Statistic,
    Survey,
)
from rollouts.reports.metric_form import STATISTICS, body_of, fields_of
from tests.rollouts.reports import shop

STARS = Selector("csat", (Filter("team", Operator.IN, ["a", "7"]),), ("chat", "phone"), "stars")
KINDS = [
    Definition(Selector("order"), Aggregation.ANY, Direction.UP, window=timedelta(days=1.5)),
    Definition(
        STARS,
        Aggregation.AVERAGE,
        Direction.UP,
        statistic=Statistic.LOW_BOX,
        low_to=2.0,
        survey=Survey(1.0, 5.0, Selector("asked", (Filter("wave", Operator.AT_LEAST, 3),))),
    ),
    Definition(
        Selector("minutes", (Filter("closed", Operator.IS, True), Filter("id", Operator.EXISTS))),
        Aggregation.AVERAGE,
        Direction.DOWN,
        statistic=Statistic.QUANTILE,
        quantile=0.99,
        per=Per.EVENT,
    ),
    Definition(
        Selector("spent", (Filter("note", Operator.IS_NOT, "a, b"), Filter("n", value="12"))),
        Aggregation.RATIO,
        Direction.UP,
        denominator=Selector("order", channels=("web",)),
        denominator_aggregation=Aggregation.COUNT,
        numerator_aggregation=Aggregation.SUM,
        allow_untrusted=True,
    ),
    Definition(
        Selector("spent"),
        Aggregation.SUM,
        Direction.UP,
        cap_quantile=0.995,
        cap=1e6,
        pre_period=timedelta(days=14),
        harm_unit="pounds",
    ),
]


@pytest.mark.parametrize("definition", KINDS, ids=lambda held: str(held.aggregation))
def test_a_definition_comes_back_from_its_own_form(definition: Definition):
    """Opening the form and saving it changes nothing."""
    sent = fields_of(definition) | {"name": "x"}

    body = MetricBody.model_validate(body_of(sent))

    assert body.to_domain() == definition


def sent(client: FlaskClient, path: str, **over: str) -> tuple[int, str]:
    """Send the form; the status and the page."""
    plain = {
        "key": "waiting",
        "name": "Time waited",
        "event": "handled",
        "aggregation": "average",
        "statistic": "quantile",
        "per": "event",
        "quantile": "0,9",
        "good": "down",
    }
    answer = client.post(path, data=plain | over)
    return answer.status_code, answer.text


def test_a_metric_is_made_changed_and_taken_off(client: FlaskClient):
    """From the empty form to the catalogue, to its second version, and off it."""
    form = client.get("/catalogue/+new").text
    assert all(f'value="{value}"' in form for value, _ in STATISTICS)

    status, _ = sent(client, "/catalogue/+new")
    assert status == 303
    page = client.get("/catalogue/waiting").text
    assert "compared at the 90 % quantile of all of them, the customer as cluster" in page

    status, page = sent(client, "/catalogue/waiting/edit", quantile="0.5", version="1")
    assert status == 422
    assert "say why" in page
    change = {"quantile": "0.5", "version": "1", "reason": "the median is what is promised"}
    assert sent(client, "/catalogue/waiting/edit", **change)[0] == 303
    page = client.get("/catalogue/waiting").text
    assert "50 % quantile" in page
    assert "the median is what is promised" in page

    status, page = sent(client, "/catalogue/waiting/edit", **change)  # an older page
    assert status == 422
    assert "Somebody made version 2" in page
    assert client.post("/catalogue/waiting/archive", data={"reason": "x"}).status_code == 303
    assert "waiting" not in client.get("/catalogue").text


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("quantile", "much", "a number, such as 0.9"),
        ("quantile", "nan", "quantile"),
        ("filters", "nonsense", "write PROPERTY is VALUE"),
        ("statistic", "mean", "only a quantile is taken over events"),
        ("aggregation", "sum", "aggregate them by average"),
        ("survey_lowest", "1", "a lowest and a highest grade"),
        ("cap_quantile", "0.2", "0.5"),
        ("key", "not a key", "pattern"),
        ("event", "", "at least 1"),
        ("aggregation", "sometimes", "any"),
    ],
)
def test_what_does_not_fit_comes_back_beside_its_field(
    client: FlaskClient, field: str, value: str, told: str
):
    """Nothing is saved, nothing typed is lost, and the field says what is wrong with it."""
    status, page = sent(client, "/catalogue/+new", **{field: value})

    assert status == 422
    assert told in page
    assert 'aria-invalid="true"' in page
    assert "Time waited" in page
    assert client.get("/catalogue/waiting").status_code == 404


def test_readers_see_no_form(story: Database):
    """Looking up what is counted needs no right to change it."""
    reader = shop.make_app(story, shop.with_role(Role.READER)).test_client()

    assert reader.get("/catalogue/+new").status_code == 403
    assert "New metric" not in reader.get("/catalogue").text
