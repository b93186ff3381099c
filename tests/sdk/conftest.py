"""A running service for SDKs: one web process, used over HTTP only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live import LiveService


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """The web process of a fresh store."""
    service = LiveService(tmp_path_factory.mktemp("live"))
    service.start("serve")
    yield service
    service.stop()
