"""From a flag change to an explained withdrawal, through HTTP alone."""

import json

import pytest
from flask.testing import FlaskClient

from tests.factories.story import Story, did, plan, seen


@pytest.fixture
def story(api: FlaskClient) -> Story:
    return Story(api)


def population(n: int, contact_rates: tuple[float, float], order_rate: float = 0.2):
    """n customers an arm, whose contacts and orders come at exact rates: no chance involved."""
    for arm, rate in zip(("control", "new"), contact_rates, strict=True):
        for i in range(n):
            unit = f"{arm}-{i}"
            yield seen(unit, arm)
            if int((i + 1) * rate) > int(i * rate):
                yield did(unit, "contact", channel="phone")
            if int((i + 1) * order_rate) > int(i * order_rate):
                yield did(unit, "order")


def served(story: Story, connection: str) -> dict:
    return json.loads(story.client.get(f"/api/features/{connection}").data)["features"]["guided"]


def test_harm_withdraws_the_change_and_says_why(story: Story):
    """The whole of the product in one test."""
    connection = story.post("/connections", {"name": "shop", "environment": "production"})
    hook = {"kind": "webhook", "name": "on call", "url": "https://example.com/hook"}
    story.post("/destinations", hook)
    started = story.launch()
    assert served(story, connection["client_key"])["rules"][0]["weights"] == [0.5, 0.5]

    story.send(population(1500, (0.10, 0.30)))
    snapshot = story.look()

    verdict = snapshot["verdict"]
    assert verdict["kind"] == "withdrawn"
    assert verdict["sentence"].startswith("Withdrawn on ")
    assert "contacts rose 200\u00a0%" in verdict["sentence"]
    assert "300 extra contacts, of a budget of 200" in verdict["sentence"]
    assert story.get("/rollouts/guided")["state"] == "withdrawn"
    rule = served(story, connection["client_key"])["rules"][0]
    assert rule["force"] is False
    assert "variations" not in rule
    assert snapshot["plan"]["hash"] == started["plan"]["hash"]
    actions = [item["action"] for item in story.get("/audit?limit=50")["items"]]
    assert "rollout.withdrawn" in actions
    message = story.get("/outbox")["items"][0]
    assert message["type"] == "rollout.withdrawn" or message["kind"] == "rollout.withdrawn"
    page = story.client.get(
        f"/rollouts/guided/report/{snapshot['id']}", headers={"Accept": "text/html"}
    )
    assert page.status_code == 200
    assert "200\u00a0%" in page.text


def test_harm_in_one_of_several_versions_names_it_and_says_that_all_were_withdrawn(story: Story):
    """The rollout ends as a whole; the report and the message say which version did it."""
    hook = {"kind": "webhook", "name": "on call", "url": "https://example.com/hook"}
    story.post("/destinations", hook)
    names = {"control": "Old page", "new": "New page", "bold": "Bold page"}
    values = {"control": "a", "new": "b", "bold": "c"}
    story.set_up(key="other")
    story.post("/flags", {"key": "pages", "kind": "string", "default": "a"})
    variations = [
        {"key": key, "name": name, "value": values[key], "share": 1 / 3}
        for key, name in names.items()
    ]
    story.post("/rollouts", plan(flag="pages", variations=variations))
    story.post("/rollouts/guided/start")
    story.send(population(900, (0.10, 0.10)))
    story.send(seen(f"bold-{i}", "bold") for i in range(900))
    story.send(did(f"bold-{i}", "contact") for i in range(450))

    snapshot = story.look()

    said = snapshot["verdict"]["sentence"]
    assert "contacts rose 400\u00a0% in Bold page (between" in said
    assert "New page was withdrawn with it." in said
    assert "1,800 customers on both new versions are back" in snapshot["verdict"]["next"]
    message = next(m for m in story.get("/outbox")["items"] if "rollout.withdrawn" in m.values())
    assert "in Bold page" in str(message)
    assert "both new versions" in str(message)


def test_what_anyone_can_send_may_hold_but_never_withdraw(story: Story):
    """A key that lies in pages must not be enough to end a rollout."""
    story.set_up(guardrails=[{"metric": "contacts", "margin": 5}], key="other")
    story.post(
        "/metrics",
        {
            "key": "open",
            "name": "Contacts",
            "event": "contact",
            "aggregation": "count",
            "good": "down",
            "allow_untrusted": True,
        },
    )
    story.post("/rollouts", plan(guardrails=[{"metric": "open", "margin": 0.1}]))
    story.post("/rollouts/guided/start")
    story.send(population(1500, (0.10, 0.30)))

    snapshot = story.look()

    assert snapshot["arms"][0]["metrics"][0]["finding"] == "harm"
    assert snapshot["decision"]["action"] == "hold"
    assert story.get("/rollouts/guided")["state"] == "running"


def test_a_harmless_change_is_shown_safe(story: Story):
    """Safe is a finding of its own, not the absence of harm."""
    story.launch(guardrails=[{"metric": "contacts", "margin": 0.5}])
    story.send(population(3000, (0.20, 0.19)))

    snapshot = story.look()

    assert snapshot["arms"][0]["metrics"][0]["finding"] == "safe"
    assert snapshot["verdict"]["kind"] == "safe"
    assert story.get("/rollouts/guided")["state"] == "running"


def test_no_traffic_is_no_pass(story: Story):
    """A rollout without traffic is undecided, and its ramp stays."""
    story.launch(ramp=[{"share": 0.1, "hold_seconds": 0}, {"share": 1.0}])

    snapshot = story.look()

    metric = snapshot["arms"][0]["metrics"][0]
    assert metric["finding"] == "nodata"
    assert metric["relative"] is None
    assert metric["undecided"]["reason"]
    assert snapshot["decision"]["action"] == "hold"
    assert story.get("/rollouts/guided")["stage"] == 0


def test_a_broken_split_never_passes(story: Story):
    """Twice as many in one arm as was set: nothing can be said, and the ramp is frozen."""
    story.launch(ramp=[{"share": 0.1, "hold_seconds": 0}, {"share": 1.0}])
    events = [seen(f"c{i}", "control") for i in range(1200)]
    events += [seen(f"n{i}", "new") for i in range(600)]
    events += [did(f"c{i}", "contact") for i in range(200)]
    events += [did(f"n{i}", "contact") for i in range(100)]
    story.send(events)

    snapshot = story.look()

    assert snapshot["srm"]["state"] == "broken"
    assert snapshot["verdict"]["kind"] == "unjudged"
    assert story.get("/rollouts/guided")["stage"] == 0


def test_what_was_sent_twice_counts_once(story: Story):
    """A retry is not a second contact."""
    story.launch()
    events = list(population(300, (0.2, 0.2)))
    story.send(events)
    first = story.look()["arms"][0]["metrics"][0]
    story.send(events)
    second = story.look()["arms"][0]["metrics"][0]

    assert first["treatment"] == second["treatment"]
    assert first["control"] == second["control"]


def test_a_customer_seen_in_two_versions_is_left_out_and_counted(story: Story):
    """Nobody can say which version caused what they did."""
    story.launch()
    story.send([seen("u1", "control"), seen("u1", "new"), seen("u2", "new"), did("u1", "contact")])

    snapshot = story.look()

    assert snapshot["units"]["crossed"] == 1
    assert snapshot["units"]["total"] == 1
    assert snapshot["arms"][0]["metrics"][0]["control"]["total"] == 0


def test_the_plan_is_locked_at_the_start(story: Story):
    """Afterwards it only changes by a new version with a reason, and the report shows both."""
    story.set_up()
    draft = story.client.put(
        "/api/v1/rollouts/guided",
        json={k: v for k, v in plan(alpha=0.04).items() if k != "key"},
        headers={"If-Match": '"1"'},
    )
    assert draft.status_code == 200
    story.post("/rollouts/guided/start")
    looser = {
        k: v
        for k, v in plan(guardrails=[{"metric": "contacts", "margin": 0.5}]).items()
        if k != "key"
    }

    refused = story.client.put("/api/v1/rollouts/guided", json=looser, headers={"If-Match": '"2"'})
    assert (refused.status_code, refused.get_json()["code"]) == (409, "tolerance_locked")
    silent = story.client.post(
        "/api/v1/rollouts/guided/plan-versions", json={**looser, "reason": " "}
    )
    assert silent.status_code == 422

    story.post("/rollouts/guided/plan-versions", {**looser, "reason": "The queue got shorter."})
    snapshot = story.look()

    assert snapshot["plan"]["version"] == 2
    assert snapshot["plan"]["reason"] == "The queue got shorter."
    assert [item["version"] for item in snapshot["plan"]["previous"]] == [1]
    assert len({item["hash"] for item in story.get("/rollouts/guided/plan-versions")["items"]}) == 2


def test_what_customers_meet_cannot_change_under_way(story: Story):
    """Other shares would compare other people."""
    story.launch()
    moved = {k: v for k, v in plan().items() if k != "key"}
    moved["variations"] = [
        {"key": "control", "name": "Old page", "value": False, "share": 0.2},
        {"key": "new", "name": "New page", "value": True, "share": 0.8},
    ]

    refused = story.client.post(
        "/api/v1/rollouts/guided/plan-versions", json={**moved, "reason": "more traffic"}
    )

    assert refused.status_code == 409
    assert "variations" in refused.get_json()["detail"]


def test_shipping_without_safety_needs_a_reason_from_the_right_person(story: Story):
    """Not yet known is not safe: to ship all the same is an overruling, and stays on record."""
    story.launch()
    story.send(population(100, (0.2, 0.2)))

    silent = story.client.post("/api/v1/rollouts/guided/ship", json={"variation": "new"})
    assert silent.status_code == 409
    assert story.get("/rollouts/guided")["state"] == "running"
    key = story.post("/api-keys", {"name": "editor", "role": "editor"})["api_key"]
    body = {"variation": "new", "reason": "The old page goes away."}
    refused = story.client.post(
        "/api/v1/rollouts/guided/ship", json=body, headers={"Authorization": f"Bearer {key}"}
    )
    assert refused.status_code == 403

    shipped = story.post("/rollouts/guided/ship", body)

    assert shipped["verdict"]["kind"] == "shipped"
    assert story.get("/rollouts/guided")["state"] == "shipped"
    past = story.get("/metrics/contacts/past-effects")["items"]
    assert [(item["rollout"], item["variation"], item["shipped"]) for item in past] == [
        ("guided", "new", True)
    ]
    assert past[0]["seen"]["low"] < 0 < past[0]["seen"]["high"]


def test_an_ended_rollout_takes_no_more_looks(story: Story):
    """Its last report stands."""
    story.launch()
    story.post("/rollouts/guided/withdraw", {"reason": "A wrong price was shown."})

    answer = story.client.post("/api/v1/rollouts/guided/looks")

    assert (answer.status_code, answer.get_json()["code"]) == (409, "wrong_state")
    timeline = story.get("/rollouts/guided/timeline")["items"]
    assert "A wrong price was shown." in timeline[-1]["sentence"]


@pytest.mark.parametrize(
    ("over", "where"),
    [
        ({"guardrails": [{"metric": "contacts", "margin": -1}]}, "margin"),
        ({"guardrails": [{"metric": "nothing", "margin": 0.1}]}, "nothing"),
        ({"guardrails": [{"metric": "contacts"}]}, "margin"),
        ({"variations": []}, "variations"),
        ({"control": "missing"}, "control"),
        ({"ramp": [{"share": 0.5}, {"share": 0.2}]}, "ramp"),
        ({"alpha": 0.9}, "alpha"),
        ({"flag": "unknown"}, "unknown"),
        ({"environment": "mars"}, "mars"),
        ({"goals": [{"metric": "contacts"}]}, "contacts"),
        ({"colour": "red"}, "colour"),
        ({"unit": ""}, "unit"),
        ({"condition": {"country": {"$regex": "(?<=a)b"}}}, "condition"),
    ],
)
def test_plans_that_cannot_be_are_refused_by_name(story: Story, over: dict, where: str):
    """A clear 4xx that names what was wrong, and nothing is stored."""
    story.set_up(key="other")

    answer = story.client.post("/api/v1/rollouts", json=plan(**over))

    assert 400 <= answer.status_code < 500
    assert answer.content_type == "application/problem+json"
    assert where in answer.text
    assert story.client.get("/api/v1/rollouts/guided").status_code == 404
