"""What is right, what was loosened, and what is broken."""

from __future__ import annotations

from dataclasses import dataclass

from rollouts.audit import service as audit
from rollouts.runtime import Runtime
from rollouts.web.running import readiness


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One line of the examination: state is ok, note or bad."""

    state: str
    text: str


def examine(parts: Runtime) -> list[Diagnosis]:
    """Everything worth telling about this installation."""
    parts.delivery.refresh()
    checks = [
        Diagnosis("ok" if check["ok"] else "bad", f"{name}: {check['detail']}")
        for name, check in readiness(parts, parts.now()).items()
    ]
    return [*checks, *_store(parts), *_loosened(parts)]


def _store(parts: Runtime) -> list[Diagnosis]:
    with parts.db.reading() as session:
        broken = audit.verify(session)
    state = "ok" if broken is None else "bad"
    text = "the audit chain is whole" if broken is None else f"the audit chain breaks at {broken}"
    return [Diagnosis(state, text)]


def _loosened(parts: Runtime) -> list[Diagnosis]:
    held = parts.settings
    notes = []
    if held.outbound_allow:
        notes.append(f"webhooks may reach private networks: {held.outbound_allow}")
    if held.host not in ("127.0.0.1", "::1", "localhost"):
        notes.append(f"the web server listens on {held.host}, not on this machine alone")
    if not held.is_https:
        notes.append("links are plain http: fine on this machine, not across a network")
    if held.proxy_hops:
        notes.append(f"{held.proxy_hops} proxies in front are believed")
    if held.bootstrap_admin_key:
        notes.append("an administrator's key is set by the environment")
    if not held.trusted_hosts:
        notes.append("any host name is answered to: set ROLLOUTS_TRUSTED_HOSTS")
    return [Diagnosis("note", note) for note in notes]
