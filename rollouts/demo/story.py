"""The demo's story: plan, lock, launch, watch it being withdrawn, read why."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import signal
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel

from rollouts.config import Settings
from rollouts.demo.client import Api, Outcomes, Receiver, ServiceRefused
from rollouts.demo.crowd import Crowd, Seen
from rollouts.demo.plan import BUDGET, ROLLOUT, flag, metrics, rollout
from rollouts.demo.population import Effects
from rollouts.demo.show import Picture
from rollouts.supervisor import Supervisor
from rollouts.words import count

FOLDER = "demo"
MARK = "made-by-rollouts-demo"
HARMLESS_SECONDS = 75.0  # how long the harmless story is watched
GIVE_UP_SECONDS = 240.0  # on a slow machine; a minute is usual
ALERT_SECONDS = 15.0
STOPS = (signal.SIGINT, signal.SIGTERM)


def run(out: Console, *, harm: bool, exit_at_once: bool, seed: int, port: int | None) -> int:
    """Tell the story; 0 if it ended as it should have."""
    key = secrets.token_urlsafe(32)
    settings = _settings(port, key)
    _fresh_folder(settings.var_dir)
    log_path = settings.var_dir / "service.log"
    receiver = Receiver()
    out.print(f"Starting the real service, web and worker, in [bold]{settings.var_dir}[/] ...")
    with log_path.open("ab") as log:
        supervisor = Supervisor(settings, log=log)
        # Set outright: whoever starts us in the background leaves Ctrl-C ignored.
        previous = {kind: signal.signal(kind, _interrupt) for kind in STOPS}
        supervisor.start()
        try:
            api = Api(settings.base_url, key)
            api.wait_until_ready()
            # What follows is done by a person's key, not by the one that opened the door.
            own = api.post("/api-keys", {"name": "Priya Nair", "role": "admin"})
            api = Api(settings.base_url, own["api_key"])
            is_as_it_should = _tell(out, api, receiver, harm=harm, seed=seed)
            if not exit_at_once:
                out.print(f"The service stays up at [bold]{settings.base_url}[/]; Ctrl-C ends it.")
                while True:
                    time.sleep(3600)
        except KeyboardInterrupt:
            out.print("\nStopping ...")
            is_as_it_should = True
        except ServiceRefused as refused:
            out.print(f"[red]The service refused:[/] {refused}\nIts log: {log_path}")
            is_as_it_should = False
        finally:
            supervisor.stop()
            receiver.close()
            for kind, handler in previous.items():
                signal.signal(kind, handler)
    out.print("Stopped cleanly.")
    return 0 if is_as_it_should else 1


def _tell(out: Console, api: Api, receiver: Receiver, *, harm: bool, seed: int) -> bool:
    keys = _set_up(out, api, receiver)
    effects = Effects() if harm else Effects().harmless()
    crowd = Crowd(
        base_url=api.base_url,
        client_key=keys["client"],
        outcomes=Outcomes(api.base_url, keys["write"]),
        effects=effects,
        seed=seed,
    )
    out.print("Customers arrive. Each asks the real GrowthBook SDK which returns page to show.\n")
    with Picture(out) as picture:
        seen = asyncio.run(
            crowd.live(
                watch=lambda: _watch(api),
                show=picture.update,
                until_seconds=GIVE_UP_SECONDS if harm else HARMLESS_SECONDS,
            )
        )
    return _conclude(out, api, receiver, seen, harm=harm)


def _set_up(out: Console, api: Api, receiver: Receiver) -> dict[str, str]:
    """All that a team does before launch, through the API."""
    connection = api.post(
        "/connections", {"name": "Shop", "environment": "production", "mode": "plain"}
    )
    write = api.post("/write-keys", {"name": "Help desk and shop", "environment": "production"})
    hook = api.post("/destinations", {"kind": "webhook", "name": "On call", "url": receiver.url})
    receiver.secret = hook["secret"]
    api.post("/flags", flag())
    for metric in metrics():
        api.post("/metrics", metric)
    api.post("/rollouts", rollout())
    started = api.post(f"/rollouts/{ROLLOUT}/start")
    out.print(
        f"Plan locked under [bold]{started['plan']['hash'][:12]}[/]: contacts may rise by 25 % at "
        f"most, and may cost at most {BUDGET} extra contacts."
    )
    return {"client": connection["client_key"], "write": write["write_key"]}


def _watch(api: Api) -> dict[str, Any]:
    held = api.get(f"/rollouts/{ROLLOUT}")
    return {"rollout": held, "results": api.find(f"/rollouts/{ROLLOUT}/results")}


def _conclude(out: Console, api: Api, receiver: Receiver, seen: Seen, *, harm: bool) -> bool:
    results = api.get(f"/rollouts/{ROLLOUT}/results")
    is_withdrawn = results["verdict"]["kind"] == "withdrawn"
    alert = _await_alert(receiver) if is_withdrawn else None
    link = api.post("/users/admin/links", {"next": f"/rollouts/{ROLLOUT}/report"})["link"]
    out.print(Panel(_lines(results, seen, alert), title=results["rollout"]["name"], padding=(1, 2)))
    out.print("Read the report (this link signs you in, once):")
    out.print(f"  [bold]{link}[/]\n", soft_wrap=True)
    if harm:
        return is_withdrawn and alert is not None and seen.client_saw_it_off
    return not is_withdrawn


def _lines(results: dict[str, Any], seen: Seen, alert: dict[str, Any] | None) -> str:
    verdict, units = results["verdict"], results["units"]
    treated = sum(item["n"] for item in units["by_variation"] if not item["is_control"])
    budget = next(m["budget"] for m in results["arms"][0]["metrics"] if m["budget"])
    said = [
        f"[bold]{verdict['lead']}[/]{verdict['rest']}",
        "",
        f"Why            {'; '.join(results['decision']['reasons']) or 'nothing passed its limit'}",
        f"Customers      {count(units['total'])} exposed, {count(treated)} to the new page",
        f"Harm budget    {_budget(budget)}",
        (
            f"Plan           version {results['plan']['version']}, {results['plan']['hash'][:12]}, "
            "locked before the first customer"
        ),
        f"Snapshot       {results['id']}",
    ]
    if results["verdict"]["kind"] == "withdrawn":
        took = "not yet" if seen.off_after is None else f"{seen.off_after:.1f} s after the decision"
        came = "has not arrived" if alert is None else "arrived, its signature verified"
        said += [f"SDK client     sees the old page again, {took}", f"Alert          {came}"]
    return "\n".join(said)


def _budget(budget: dict[str, Any]) -> str:
    if budget["estimate"] is not None and budget["estimate"] <= 0:
        return (
            f"none of {count(budget['amount'])} {budget['unit']} (at most {count(budget['high'])})"
        )
    if budget["estimate"] is None:
        return f"nothing counted yet of {count(budget['amount'])}: {budget['reason']}"
    return (
        f"{count(budget['estimate'])} of {count(budget['amount'])} {budget['unit']} "
        f"(between {count(budget['low'])} and {count(budget['high'])})"
    )


def _await_alert(receiver: Receiver) -> dict[str, Any] | None:
    until = time.monotonic() + ALERT_SECONDS
    while time.monotonic() < until:
        found = receiver.find("rollout.withdrawn")
        if found:
            return found
        time.sleep(0.1)
    return None


def _settings(port: int | None, key: str) -> Settings:
    """The environment's settings, but for what makes this the demo."""
    given = Settings.from_environment()
    return replace(
        given,
        var_dir=given.var_dir / FOLDER,
        database_url="",
        host="127.0.0.1",
        port=port or _free_port(),
        public_url="",
        bootstrap_admin_key=key,
        outbound_allow="127.0.0.0/8",
        log_format="json",
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _fresh_folder(folder: Path) -> None:
    """Start from nothing, but never wipe a folder that an earlier demo did not make."""
    mark = folder / MARK
    if mark.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    mark.touch()


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
