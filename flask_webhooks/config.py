"""Every ``WEBHOOKS_*`` setting, read once from the app's config into one frozen object."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from .exceptions import ConfigurationError
from .rules.addresses import Network
from .rules.limits import Limits
from .rules.retry import DEFAULT_SCHEDULE, schedule_of
from .rules.urls import UrlRules

PREFIX = "WEBHOOKS_"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one app; field ``timeout`` is the config key ``WEBHOOKS_TIMEOUT``."""

    #: Title of the OpenAPI document. Default: the app's name.
    title: str | None = None
    #: Version of your API, shown in the document.
    version: str = "1.0.0"
    #: Description of your API, shown in the document (CommonMark).
    description: str | None = None
    #: The version of OpenAPI that the document states: ``"3.1.1"`` or ``"3.2.0"``.
    openapi_version: Literal["3.1.1", "3.2.0"] = "3.1.1"
    #: Merged last into the document, at any depth: contact, servers, tags, security schemes, …
    document: Mapping[str, Any] | None = None
    #: Where the document is served, and as YAML beside it where PyYAML is installed (``.yaml`` for
    #: ``.json``). ``None`` serves no document, and no page that shows one.
    openapi_url: str | None = "/openapi.json"
    #: Where the AsyncAPI document is served; ``None`` serves none.
    asyncapi_url: str | None = "/asyncapi.json"
    #: Where the documentation page is served.
    docs_url: str = "/docs"
    #: Where the guide for those who receive webhooks is served; ``None`` serves none.
    guide_url: str | None = "/docs/guide"
    #: Where the public keys of captured callbacks are served, as a JSON Web Key Set.
    keys_url: str = "/.well-known/webhooks-keys.json"
    #: What shows the document on the documentation page: ``"swagger"``, ``"redoc"``, ``"scalar"``,
    #: ``"elements"``, or ``None`` for no page.
    docs_ui: Literal["swagger", "redoc", "scalar", "elements"] | None = "swagger"
    #: SQLAlchemy URL of the extension's own database. Default: ``webhooks.sqlite3`` in the instance
    #: folder. Not to be set when the extension was given a session.
    database_uri: str | None = None
    #: ``"thread"``: the app delivers by itself, from a thread that starts on first need;
    #: ``"external"``: ``flask webhooks worker`` does; ``"celery"``: Celery workers do. Default:
    #: ``"thread"``, but under ``TESTING`` only when it was asked for.
    worker: Literal["thread", "external", "celery"] = "thread"
    #: The Celery app that delivers, with ``WEBHOOKS_WORKER = "celery"``. Default: the one at
    #: ``app.extensions["celery"]``.
    celery: Any = None
    #: How many deliveries one worker process makes at the same time; a thread each is needed only
    #: while connections are opened.
    worker_threads: int = 64
    #: How many of them may go to one subscription at the same time.
    subscription_concurrency: int = 4
    #: Total deadline of an attempt in seconds: name lookup, connect, TLS, upload and answer.
    timeout: float = 15.0
    #: Delays in seconds, one before each attempt; the first is usually 0.
    schedule: tuple[float, ...] = DEFAULT_SCHEDULE
    #: A subscription that has only failed for so many seconds is disabled.
    disable_after: float = 5 * 86400.0
    #: For how many seconds a message is kept with its deliveries and attempts, counted from when it
    #: was sent; longer while a delivery of it is pending. ``None`` keeps everything.
    retention: float | None = 30 * 86400.0
    #: How many bytes of an answer are read at most.
    response_limit: int = 65536
    #: Allow ``http`` URLs, on port 80.
    allow_http: bool = False
    #: Ports allowed besides 443 and 8443 (and 80 for ``http``).
    allowed_ports: tuple[int, ...] = ()
    #: Networks (CIDR) that may be called although they are not public.
    allowed_networks: tuple[Network, ...] = ()
    #: Networks (CIDR) that may never be called.
    denied_networks: tuple[Network, ...] = ()
    #: For development: allow ``http`` and any port to ``localhost``, 127.0.0.0/8 and ::1.
    #: Default: whether the app is in debug mode.
    allow_loopback: bool = False
    #: Whether requests may leave this machine. Default: they may, but not while a receiver or a
    #: clock of ``flask_webhooks.testing`` is in use.
    allow_outside: bool | None = None
    #: A file of CA certificates in PEM form to trust instead of certifi's.
    ca_bundle: str | None = None
    #: Files in PEM form of a certificate and of its key, shown to receivers that ask for one.
    client_cert: tuple[str, str] | None = None
    #: How many live subscriptions may lead to one host. ``None`` sets no limit.
    subscriptions_per_host: int | None = None
    #: How many live subscriptions may be captured from the calls of one tenant. ``None`` sets no
    #: limit.
    callbacks_per_tenant: int | None = None
    #: How many deliveries may be pending for one subscription. What is sent beyond is stored as
    #: exhausted, with the reason ``overflow``, and can be replayed. ``None`` sets no limit.
    pending_per_subscription: int | None = None
    #: How many requests a second one worker process sends to one host, over all its subscriptions.
    #: ``None`` sets no limit.
    host_rate: float | None = None
    #: Sign every request by RFC 9421 (HTTP Message Signatures) as well, with the published key.
    message_signatures: bool = False
    #: What the owner of a URL must answer before the first message is sent there: ``"echo"``, a
    #: challenge in a signed POST; ``"options"``, the handshake of CloudEvents; ``None``, nothing.
    ownership_check: Literal["echo", "options"] | None = None
    #: The DNS name that the handshake states as the sender's. Default: the app's name.
    origin: str | None = None
    #: Send the trace of an attempt to its receiver, as a ``traceparent`` header.
    propagate_trace: bool = False
    #: An HTTP proxy that every request goes through by ``CONNECT``, such as
    #: ``"http://smokescreen:4750"``. Which addresses may be called is then the proxy's to judge;
    #: proxies named by the environment are never used.
    proxy: tuple[str, int] | None = None
    #: Keys that seal secrets at rest and sign captured callbacks; the newest first, each of 32 or
    #: more characters. Default: one random key, kept in ``webhooks.key`` in the instance folder.
    secret_keys: tuple[str, ...] = ()

    def url_rules(self) -> UrlRules:
        """The settings as the rules that judge a URL."""
        return UrlRules(
            allow_http=self.allow_http,
            allowed_ports=self.allowed_ports,
            allowed_networks=self.allowed_networks,
            denied_networks=self.denied_networks,
            allow_loopback=self.allow_loopback,
        )

    def limits(self) -> Limits:
        """The settings as the limits of how many subscriptions there may be."""
        return Limits(
            per_host=self.subscriptions_per_host, captured_per_tenant=self.callbacks_per_tenant
        )


def read_settings(config: Mapping[str, Any], *, debug: bool, testing: bool) -> Settings:
    """Read the ``WEBHOOKS_*`` keys of an app's config.

    :param debug: whether the app is in debug mode: then loopback receivers are allowed by default.
    :param testing: whether the app is under test: then by default no worker thread starts, and
        nothing leaves the machine.
    :raises ConfigurationError: a key is unknown, or its value can't be used.
    """
    values: dict[str, Any] = {
        "allow_loopback": debug,
        "worker": "external" if testing else "thread",
    }
    for key in sorted(k for k in config if isinstance(k, str) and k.startswith(PREFIX)):
        field = key.removeprefix(PREFIX).lower()
        if field not in _READERS:
            raise ConfigurationError(_unknown_key(key))
        values[field] = _read(key, config[key], _READERS[field])
    return Settings(**values)


def _unknown_key(key: str) -> str:
    known = [PREFIX + f.name.upper() for f in fields(Settings)]
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"Known are: {', '.join(sorted(known))}."
    return f"{key} is no setting of Flask-Webhooks. {hint}"


def _read(key: str, value: Any, reader: Callable[[Any], Any]) -> Any:
    try:
        return reader(value)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{key} is {_shown(key, value)}: {error}") from None


def _shown(key: str, value: Any) -> str:
    secret = any(part in key for part in ("SECRET", "DATABASE", "PROXY"))
    return "not usable" if secret else repr(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("give a text that is not empty.")
    return value


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _optional_mapping(value: Any) -> Mapping[str, Any] | None:
    if value is not None and not isinstance(value, Mapping):
        raise TypeError("give a dict.")
    return value


def _path(value: Any) -> str:
    if not _text(value).startswith("/"):
        raise ValueError('give a path that starts with "/".')
    return str(value)


def _optional_path(value: Any) -> str | None:
    return None if value is None else _path(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("give True or False.")
    return value


def _optional_flag(value: Any) -> bool | None:
    return None if value is None else _flag(value)


def _positive(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise TypeError("give a number of seconds above 0.")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise TypeError("give a whole number of 1 or more.")
    return value


def _optional_count(value: Any) -> int | None:
    return None if value is None else _count(value)


def _optional_positive(value: Any) -> float | None:
    return None if value is None else _positive(value)


def _sequence(value: Any) -> Sequence[Any]:
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise TypeError("give a list.")
    return value


def _ports(value: Any) -> tuple[int, ...]:
    ports = _sequence(value)
    if any(isinstance(p, bool) or not isinstance(p, int) or not 0 < p < 65536 for p in ports):
        raise ValueError("give a list of port numbers from 1 to 65535.")
    return tuple(ports)


def _networks(value: Any) -> tuple[Network, ...]:
    return tuple(n if isinstance(n, Network) else ip_network(n) for n in _sequence(value))


def _client_cert(value: Any) -> tuple[str, str] | None:
    if value is None:
        return None
    files = [str(file) for file in _sequence(value)]
    missing = [file for file in files if not Path(file).is_file()]
    if len(files) != 2 or missing:
        raise ValueError("give two files that exist: a certificate and its key, in PEM form.")
    return files[0], files[1]


def _proxy(value: Any) -> tuple[str, int] | None:
    """The host and the port of a proxy's URL."""
    if value is None:
        return None
    parts = urlsplit(_text(value))
    if parts.scheme != "http" or parts.path not in ("", "/") or "@" in value or not parts.hostname:
        raise ValueError('give "http://host:port", without credentials and path.')
    if parts.query or parts.fragment or not parts.port:
        raise ValueError("name the proxy's port, and nothing after it.")
    return parts.hostname, parts.port


def _keys(value: Any) -> tuple[str, ...]:
    keys = [k.decode("ascii") if isinstance(k, bytes) else k for k in _sequence(value)]
    if not keys or any(not isinstance(k, str) or len(k) < 32 for k in keys):
        raise ValueError("give a list of texts of 32 or more characters, the newest first.")
    return tuple(keys)


def _anything(value: Any) -> Any:
    return value


def _one_of(*choices: str | None) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if value not in choices:
            raise ValueError(f"give one of {', '.join(map(repr, choices))}.")
        return value

    return read


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "title": _optional_text,
    "version": _text,
    "description": _optional_text,
    "openapi_version": _one_of("3.1.1", "3.2.0"),
    "document": _optional_mapping,
    "openapi_url": _optional_path,
    "asyncapi_url": _optional_path,
    "docs_url": _path,
    "guide_url": _optional_path,
    "keys_url": _path,
    "docs_ui": _one_of("swagger", "redoc", "scalar", "elements", None),
    "database_uri": _optional_text,
    "worker": _one_of("thread", "external", "celery"),
    "celery": _anything,
    "worker_threads": _count,
    "subscription_concurrency": _count,
    "timeout": _positive,
    "schedule": schedule_of,
    "disable_after": _positive,
    "retention": _optional_positive,
    "response_limit": _count,
    "allow_http": _flag,
    "allowed_ports": _ports,
    "allowed_networks": _networks,
    "denied_networks": _networks,
    "allow_loopback": _flag,
    "allow_outside": _optional_flag,
    "ca_bundle": _optional_text,
    "client_cert": _client_cert,
    "subscriptions_per_host": _optional_count,
    "callbacks_per_tenant": _optional_count,
    "pending_per_subscription": _optional_count,
    "host_rate": _optional_positive,
    "message_signatures": _flag,
    "ownership_check": _one_of("echo", "options", None),
    "origin": _optional_text,
    "propagate_trace": _flag,
    "proxy": _proxy,
    "secret_keys": _keys,
}
