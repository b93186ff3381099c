"""What can be done with people and keys, in one place for those who call from outside."""

from rollouts.accounts.bootstrap import Bootstrapped, bootstrap, link_address
from rollouts.accounts.keyring import KeyRing
from rollouts.accounts.keys import (
    API_KEY_DAYS,
    BOOTSTRAP_ID,
    WRITE_KINDS,
    IssuedKey,
    create_api_key,
    create_write_key,
    list_keys,
    report_leak,
    revoke_key,
)
from rollouts.accounts.model import Key, KeyKind
from rollouts.accounts.people import (
    change_user,
    create_user,
    get_user,
    list_users,
    set_password,
)
from rollouts.accounts.sessions import (
    FIRST_LINK_VALID,
    LINK_VALID,
    SignedIn,
    Visit,
    Visitor,
    create_link,
    end_session,
    find_visit,
    get_link,
    list_sessions,
    sign_in,
    sign_out,
    spend_link,
)

__all__ = [
    "API_KEY_DAYS",
    "BOOTSTRAP_ID",
    "FIRST_LINK_VALID",
    "LINK_VALID",
    "WRITE_KINDS",
    "Bootstrapped",
    "IssuedKey",
    "Key",
    "KeyKind",
    "KeyRing",
    "SignedIn",
    "Visit",
    "Visitor",
    "bootstrap",
    "change_user",
    "create_api_key",
    "create_link",
    "create_user",
    "create_write_key",
    "end_session",
    "find_visit",
    "get_link",
    "get_user",
    "link_address",
    "list_keys",
    "list_sessions",
    "list_users",
    "report_leak",
    "revoke_key",
    "set_password",
    "sign_in",
    "sign_out",
    "spend_link",
]
