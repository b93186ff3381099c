"""Whatever fits or breaks the API's description: never a 500, never a hang, always our own form."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode

from rollouts.app import create_app, make_runtime
from rollouts.config import Settings
from tests.conftest import ADMIN_KEY

EXAMPLES = 8  # an operation; `-m slow` runs may raise it
PHASES = (Phase.explicit, Phase.generate)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("fuzz")
    held = Settings(
        var_dir=folder / "var",
        bootstrap_admin_key=ADMIN_KEY,
        secret_key="a-secret-for-tests-of-40-characters-long",
        outbound_allow="",
    )
    parts = make_runtime(held)
    parts.keys.run = lambda job: job()
    app = create_app(parts=parts)
    app.config["MAX_CONTENT_LENGTH"] = held.body_max_bytes
    yield schemathesis.openapi.from_wsgi(
        "/api/v1/openapi.json",
        app,
        headers={"Authorization": f"Bearer {ADMIN_KEY}"},
        config=SchemathesisConfig(),
    )
    parts.delivery.stop()
    parts.journal.close()
    parts.db.dispose()


MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


def check(operation: Any, mode: GenerationMode) -> None:
    """Try one operation with requests that fit its description, or that break it."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        phases=PHASES,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def try_it(case: Any) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {ADMIN_KEY}"})
        assert answer.status_code < 500, f"{operation.label}: {answer.text}"
        if answer.status_code >= 400:
            kind = answer.headers["content-type"][0]
            assert kind.startswith("application/problem+json"), f"{operation.label}: {kind}"

    try_it()


@pytest.mark.parametrize("mode", MODES)
def test_no_request_gives_a_500(fuzzed: Any, mode: GenerationMode) -> None:
    """Valid and broken requests alike get a defined answer; refusals are problem+json."""
    operations = [found.ok() for found in fuzzed.get_all_operations()]

    assert len(operations) > 50
    for operation in operations:
        try:
            check(operation, mode)
        except Unsatisfiable:
            continue  # nothing about this operation can be broken
