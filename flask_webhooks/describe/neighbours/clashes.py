"""Finds URLs that another view of the app serves besides a view of this package."""

from __future__ import annotations

from typing import Any

from ...exceptions import ConfigurationError

_OURS = "flask_webhooks."
_DOCUMENT = (
    "Set WEBHOOKS_OPENAPI_URL=None, if the webhooks are to be in the other document "
    "(webhooks.apispec_plugin() and webhooks.merge_into() put them there), or to another path."
)
_REMEDIES = {
    "openapi": _DOCUMENT,
    "openapi_yaml": _DOCUMENT,
    "asyncapi": "Set WEBHOOKS_ASYNCAPI_URL to None or to another path.",
    "docs": "Set WEBHOOKS_DOCS_UI=None, or WEBHOOKS_DOCS_URL to another path.",
    "guide": "Set WEBHOOKS_GUIDE_URL to None or to another path.",
    "keys": "Set WEBHOOKS_KEYS_URL to another path.",
}


def check_urls(app: Any) -> None:
    """Refuse an app in which two rules are for one URL, and one of them is ours.

    Werkzeug takes the first that was registered and never says that there is a second.

    :param app: a Flask app.
    :raises ConfigurationError: names the URL, both views and the setting to change.
    """
    rules = list(app.url_map.iter_rules())
    ours = {_place(rule): rule for rule in rules if rule.endpoint.startswith(_OURS)}
    for rule in rules:
        mine = ours.get(_place(rule))
        if mine is None or rule.endpoint.startswith(_OURS):
            continue
        if (rule.methods or set()) & (mine.methods or set()) - {"OPTIONS"}:
            name = mine.endpoint.removeprefix(_OURS)
            raise ConfigurationError(
                f"{rule.rule} is served by two views: {rule.endpoint!r} and {mine.endpoint!r} of "
                f"Flask-Webhooks. {_REMEDIES.get(name, 'Serve one of them at another path.')}"
            )


def _place(rule: Any) -> tuple[Any, ...]:
    return rule.rule, rule.host, rule.subdomain
