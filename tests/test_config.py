"""Settings are read once, completely, and complain by name."""

from __future__ import annotations

from dataclasses import fields
from ipaddress import ip_network
from typing import Any

import pytest

from flask_webhooks import ConfigurationError
from flask_webhooks.config import Settings, read_settings


def _read(**config: Any) -> Settings:
    return read_settings(config, debug=False, testing=False)


def test_defaults_are_safe() -> None:
    """Without a setting only https to public hosts is allowed, and the app delivers by itself."""
    settings = _read()

    assert settings.allow_http is False
    assert settings.allow_loopback is False
    assert settings.allowed_networks == ()
    assert settings.worker == "thread"
    assert settings.timeout == 15.0
    assert sum(settings.schedule) == 272105.0


def test_every_field_can_be_set() -> None:
    """Each field of the settings has a reader under its own name."""
    from flask_webhooks.config import _READERS

    assert sorted(_READERS) == sorted(field.name for field in fields(Settings))


def test_an_unknown_key_is_an_error_with_a_guess() -> None:
    """A misspelt key raises and names the key that was meant."""
    with pytest.raises(ConfigurationError, match="Did you mean WEBHOOKS_TIMEOUT"):
        _read(WEBHOOKS_TIMOUT=3)


def test_other_keys_are_nobodys_business() -> None:
    """Keys without the prefix are not looked at."""
    assert _read(SQLALCHEMY_DATABASE_URI="sqlite://").database_uri is None


@pytest.mark.parametrize(
    "key, value",
    [
        ("TIMEOUT", 0),
        ("TIMEOUT", "15"),
        ("TIMEOUT", True),
        ("SCHEDULE", []),
        ("SCHEDULE", [0, -1]),
        ("SCHEDULE", "0,5"),
        ("ALLOW_HTTP", "yes"),
        ("ALLOWED_PORTS", [0]),
        ("ALLOWED_PORTS", 8000),
        ("ALLOWED_NETWORKS", ["10.0.0.1/8"]),
        ("ALLOWED_NETWORKS", "10.0.0.0/8"),
        ("SECRET_KEYS", ["short"]),
        ("SECRET_KEYS", []),
        ("WORKER", "sellery"),
        ("DOCS_UI", "swaggr"),
        ("OPENAPI_URL", "openapi.json"),
        ("GUIDE_URL", "guide"),
        ("ASYNCAPI_URL", 1),
        ("WORKER_THREADS", 0),
        ("CLIENT_CERT", "cert.pem"),
        ("CLIENT_CERT", ["missing.pem", "missing.key"]),
        ("PROXY", "proxy:4750"),
        ("PROXY", "http://proxy"),
        ("PROXY", "http://proxy:0"),
        ("PROXY", "http://proxy:99999"),
        ("PROXY", "https://proxy:4750"),
        ("PROXY", "socks5://proxy:1080"),
        ("PROXY", "http://user:password@proxy:4750"),
        ("PROXY", "http://proxy:4750/path"),
        ("PROXY", "http://proxy:4750?x"),
        ("PROXY", "http://:4750"),
    ],
)
def test_an_unusable_value_is_an_error_that_names_the_key(key: str, value: Any) -> None:
    """A value of the wrong kind raises when the app is made, not when it is used."""
    with pytest.raises(ConfigurationError, match=f"WEBHOOKS_{key} is "):
        _read(**{f"WEBHOOKS_{key}": value})


def test_an_unusable_secret_is_not_shown() -> None:
    """The error about a secret key does not contain it."""
    with pytest.raises(ConfigurationError) as raised:
        _read(WEBHOOKS_SECRET_KEYS=["hunter2"])

    assert "hunter2" not in str(raised.value)


def test_a_proxy_is_a_host_and_a_port() -> None:
    """A proxy's URL is read as its host and port; its password is not shown when it is refused."""
    assert _read(WEBHOOKS_PROXY="http://proxy:4750").proxy == ("proxy", 4750)
    assert _read(WEBHOOKS_PROXY="http://[::1]:4750/").proxy == ("::1", 4750)
    with pytest.raises(ConfigurationError) as raised:
        _read(WEBHOOKS_PROXY="http://user:hunter2@proxy:4750")
    assert "hunter2" not in str(raised.value)


def test_networks_are_parsed() -> None:
    """Networks may be texts or network objects."""
    settings = _read(WEBHOOKS_ALLOWED_NETWORKS=["10.0.0.0/8", ip_network("fd00::/8")])

    assert settings.allowed_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def test_debug_mode_allows_loopback_receivers() -> None:
    """An app in debug mode may deliver to loopback; an explicit setting wins."""
    assert read_settings({}, debug=True, testing=False).allow_loopback is True
    explicit = {"WEBHOOKS_ALLOW_LOOPBACK": False}
    assert read_settings(explicit, debug=True, testing=False).allow_loopback is False


def test_no_thread_starts_under_test_unless_asked() -> None:
    """Under TESTING the worker is external; an explicit setting wins."""
    assert read_settings({}, debug=False, testing=True).worker == "external"
    explicit = {"WEBHOOKS_WORKER": "thread"}
    assert read_settings(explicit, debug=False, testing=True).worker == "thread"
