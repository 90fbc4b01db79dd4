"""Every error that Flask-Webhooks raises: one base, and a child for each thing that can be wrong.

A message says what happened, names the thing, and says what to do.
"""

from __future__ import annotations


class WebhooksError(Exception):
    """Base of all errors of this package."""


class ConfigurationError(WebhooksError):
    """A ``WEBHOOKS_*`` setting, or the way the extension was set up, can't work."""


class DeclarationError(WebhooksError):
    """A webhook, callback or operation was declared in a way that can't be kept."""


class ExpressionError(DeclarationError):
    """A callback's runtime expression is not in the grammar, or can never have a value."""


class UnknownWebhookError(WebhooksError, LookupError):
    """Nothing was declared under this name."""


class PayloadError(WebhooksError, ValueError):
    """A payload can't be dumped, or its JSON is not what the published schema allows."""


class RefusedURLError(WebhooksError, ValueError):
    """A URL breaks one of the rules for outgoing requests.

    :param url: the URL as it was given.
    :param rule: a short stable name of the rule, such as ``"scheme"`` or ``"port"``.
    :param message: what is wrong and what would be accepted.
    """

    def __init__(self, url: str, rule: str, message: str) -> None:
        super().__init__(message)
        self.url = url
        self.rule = rule


class RefusedHeaderError(WebhooksError, ValueError):
    """A header that a subscription asks for breaks one of the rules for outgoing requests.

    :param header: the name of the header.
    :param rule: a short stable name of the rule, such as ``"reserved"`` or ``"value"``.
    :param message: what is wrong and what would be accepted.
    """

    def __init__(self, header: str, rule: str, message: str) -> None:
        super().__init__(message)
        self.header = header
        self.rule = rule


class SecretError(WebhooksError):
    """A secret is malformed, or can't be sealed or opened with the keys at hand."""


class StoreError(WebhooksError):
    """The database can't hold webhooks: it is the wrong one, or its tables are missing."""


class VerificationError(WebhooksError):
    """A received webhook is not what its sender signed, or is too old to be trusted."""


class FilterError(WebhooksError, ValueError):
    """A subscription's filter is malformed, or names a field that no payload has."""


class ConflictError(WebhooksError):
    """A subscription is no longer what it was when it was read, or a key was used for another."""
