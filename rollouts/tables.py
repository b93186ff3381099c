"""Every table of the service in one import, for migrations and tests."""

from rollouts import beats  # noqa: F401
from rollouts.accounts import store as accounts  # noqa: F401
from rollouts.audit import store as audit  # noqa: F401
from rollouts.flags import store as flags  # noqa: F401
from rollouts.ingest import store as ingest  # noqa: F401
from rollouts.ledger import store as ledger  # noqa: F401
from rollouts.lifecycle import store as lifecycle  # noqa: F401
from rollouts.metrics import store as metrics  # noqa: F401
from rollouts.notify import store as notify  # noqa: F401
from rollouts.reports import store as reports  # noqa: F401
from rollouts.results import store as results  # noqa: F401
from rollouts.tolerances import store as tolerances  # noqa: F401
