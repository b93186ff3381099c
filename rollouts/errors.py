"""Every refusal that a person or a program can meet, each with a code that stays.

`status` is the HTTP status the refusal becomes at the border; `web/problems.py` renders it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that was wrong, and where: a JSON path or a field's name."""

    where: str
    problem: str


class RolloutsError(Exception):
    """A refusal with a sentence that says what to do next."""

    code = "refused"
    status = 400
    title = "The request was refused"

    def __init__(self, detail: str, *, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = faults


class SettingWrong(RolloutsError):
    """A setting has a value the service cannot start with."""

    code = "setting_wrong"
    status = 500
    title = "A setting is wrong"


class Invalid(RolloutsError):
    """What was sent does not say something that can be done."""

    code = "invalid"
    status = 422
    title = "Something in the request is not valid"


class Malformed(RolloutsError):
    """What was sent cannot be read at all."""

    code = "malformed"
    status = 400
    title = "The request cannot be read"


class TooLarge(RolloutsError):
    """More was sent than is taken in one request."""

    code = "too_large"
    status = 413
    title = "The request is too large"


class UnsupportedEncoding(RolloutsError):
    """The body is packed in a way that is not taken."""

    code = "unsupported_encoding"
    status = 415
    title = "The body's encoding is not supported"


class NotSignedIn(RolloutsError):
    """No valid key or session came with the request."""

    code = "not_signed_in"
    status = 401
    title = "Sign in or send a key"


class NotAllowed(RolloutsError):
    """The key or person may not do this."""

    code = "not_allowed"
    status = 403
    title = "This is not allowed for you"


class NotFound(RolloutsError):
    """There is no such thing."""

    code = "not_found"
    status = 404
    title = "There is no such thing"

    def __init__(self, kind: str, key: object) -> None:
        super().__init__(f"There is no {kind} {str(key)!r}.")


class Conflict(RolloutsError):
    """The state of the thing does not allow it."""

    code = "conflict"
    status = 409
    title = "The present state does not allow this"


class AlreadyExists(Conflict):
    """The key is taken."""

    code = "already_exists"
    title = "This key is taken"

    def __init__(self, kind: str, key: object) -> None:
        super().__init__(f"A {kind} {str(key)!r} exists already. Choose another key.")


class ToleranceLocked(Conflict):
    """A plan's tolerances may not change once its rollout has started."""

    code = "tolerance_locked"
    title = "The plan is locked"


class WrongState(Conflict):
    """A transition that the lifecycle does not have."""

    code = "wrong_state"
    title = "The rollout's state does not allow this"


class StaleEdit(RolloutsError):
    """Somebody else changed it in between."""

    code = "stale_edit"
    status = 412
    title = "Changed since you read it"


class EditUnconditional(RolloutsError):
    """An edit must say which version it is meant for."""

    code = "edit_unconditional"
    status = 428
    title = "Say which version you edit"


class TooMany(RolloutsError):
    """Too many requests or failures; wait."""

    code = "too_many"
    status = 429
    title = "Too many requests"

    def __init__(self, detail: str, *, retry_after_seconds: int = 60) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(RolloutsError):
    """Something that is needed does not answer now."""

    code = "unavailable"
    status = 503
    title = "Not available now"
