"""Declare a webhook once: document, validation, signal and durable signed delivery."""

from .declarations import Callback, Operation, Webhook
from .exceptions import (
    ConfigurationError,
    ConflictError,
    DeclarationError,
    ExpressionError,
    FilterError,
    PayloadError,
    RefusedHeaderError,
    RefusedURLError,
    SecretError,
    StoreError,
    UnknownWebhookError,
    VerificationError,
    WebhooksError,
)
from .extension import Webhooks
from .reports import ErasedOf, Erasure, Explanation
from .rules.options import LegacySignature
from .rules.signing import verify
from .signals import (
    callback_captured,
    callback_unresolved,
    delivery_exhausted,
    delivery_failed,
    delivery_succeeded,
    message_stored,
    subscription_disabled,
)
from .store.records import (
    Attempt,
    Delivery,
    DeliveryStatus,
    Message,
    Subscription,
    SubscriptionStatus,
)

__version__ = "0.1.0.dev0"

__all__ = [
    "Attempt",
    "Callback",
    "ConfigurationError",
    "ConflictError",
    "DeclarationError",
    "Delivery",
    "DeliveryStatus",
    "ErasedOf",
    "Erasure",
    "Explanation",
    "ExpressionError",
    "FilterError",
    "LegacySignature",
    "Message",
    "Operation",
    "PayloadError",
    "RefusedHeaderError",
    "RefusedURLError",
    "SecretError",
    "StoreError",
    "Subscription",
    "SubscriptionStatus",
    "UnknownWebhookError",
    "VerificationError",
    "Webhook",
    "Webhooks",
    "WebhooksError",
    "callback_captured",
    "callback_unresolved",
    "delivery_exhausted",
    "delivery_failed",
    "delivery_succeeded",
    "message_stored",
    "subscription_disabled",
    "verify",
]
