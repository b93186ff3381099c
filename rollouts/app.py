"""Put the service together: parts, blueprints, error handlers."""

from __future__ import annotations

import structlog
from flask import Flask
from flask_openapi3 import Info, OpenAPI
from sqlalchemy.exc import DBAPIError
from werkzeug.middleware.proxy_fix import ProxyFix

from rollouts import __version__, first_start, schema, telemetry
from rollouts.accounts import api as accounts_api
from rollouts.accounts import signin
from rollouts.accounts.keyring import KeyRing
from rollouts.audit import api as audit_api
from rollouts.config import Settings
from rollouts.db import Database
from rollouts.flags import api as flags_api
from rollouts.flags import delivery_api
from rollouts.flags.delivery import Delivery
from rollouts.guard import api as guard_api
from rollouts.ingest import api as ingest_api
from rollouts.ingest.journal import Journal
from rollouts.ledger import api as ledger_api
from rollouts.lifecycle import api as lifecycle_api
from rollouts.metrics import api as metrics_api
from rollouts.notify import api as notify_api
from rollouts.notify.sealing import Seal
from rollouts.reports import pages as report_pages
from rollouts.reports.one_off import api as analyses_api
from rollouts.results import api as results_api
from rollouts.results import past_api
from rollouts.runtime import Runtime
from rollouts.tolerances import api as tolerances_api
from rollouts.web import access, documentation, headers, problems, running
from rollouts.web import pages as base_pages
from rollouts.web.json_provider import Provider

log = structlog.get_logger()

APIS = (
    accounts_api.bp,
    analyses_api.bp,
    audit_api.bp,
    flags_api.bp,
    guard_api.bp,
    ledger_api.bp,
    lifecycle_api.bp,
    metrics_api.bp,
    notify_api.bp,
    results_api.bp,
    past_api.bp,
    tolerances_api.bp,
)
PAGES = (
    running.bp,
    documentation.bp,
    base_pages.bp,
    signin.bp,
    delivery_api.bp,
    ingest_api.bp,
    report_pages.bp,
)


def make_runtime(settings: Settings, *, may_lack_store: bool = False) -> Runtime:
    """The parts of one process: store, journal, delivery. The schema is brought up to date.

    A web process may be made while the store does not answer: it serves the last good flags.
    """
    db = Database(settings.store_url)
    prepare_schema(db, settings, may_be_gone=may_lack_store)
    seal = Seal.from_settings(settings)
    return Runtime(
        settings=settings,
        db=db,
        journal=Journal.open(settings, db),
        delivery=Delivery(db, settings),
        seal=seal,
        keys=KeyRing(db),
    )


def prepare_schema(db: Database, settings: Settings, *, may_be_gone: bool = False) -> bool:
    """Bring the schema up to date, or check that it is; False if the store does not answer."""
    try:
        (schema.upgrade if settings.auto_migrate else schema.check)(db)
    except DBAPIError as wrong:
        if not may_be_gone:
            raise
        log.error("store_unreachable", error=type(wrong).__name__, served="last known flags")
        return False
    return True


def create_app(settings: Settings | None = None, parts: Runtime | None = None) -> Flask:
    """The web application. Parts are made from the settings unless they are given."""
    held = parts or make_runtime(settings or Settings.from_environment())
    first_start.prepare_if_possible(held)
    telemetry.configure(held.settings)
    app = OpenAPI(
        __name__,
        info=Info(title="Rollouts", version=__version__),
        doc_ui=False,
        static_folder=None,
        security_schemes={"key": {"type": "http", "scheme": "bearer"}},
    )
    app.extensions["rollouts"] = held
    app.json = Provider(app)
    app.config["MAX_CONTENT_LENGTH"] = held.settings.body_max_bytes
    app.url_map.strict_slashes = False
    app.validation_error_callback = lambda wrong: problems.answer_refusal(
        problems.from_pydantic(wrong)
    )
    problems.register(app)
    telemetry.register(app)
    app.before_request(headers.check_host)
    app.before_request(headers.check_query)
    app.before_request(signin.load_actor)
    app.before_request(access.check_caller)
    app.before_request(headers.read_body)
    app.after_request(headers.harden)
    for page in PAGES:
        app.register_blueprint(page)
    for api in APIS:
        app.register_api(api)
    documentation.finish(app)
    if held.settings.proxy_hops:
        hops = held.settings.proxy_hops
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app
