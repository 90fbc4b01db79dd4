"""Claims about TLS: which versions, whose certificates, and whose connections."""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from receivers import OK, Authority, answering, make_authority, over_tls, receiving

from flask_webhooks import Webhooks
from flask_webhooks.deliver.outcome import Outcome, Reason
from flask_webhooks.deliver.transport import Outgoing, Transport
from flask_webhooks.rules.urls import UrlRules


def resolver(name: str, port: int) -> list[Any]:
    """Every name is this machine's."""
    return [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port))]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


Make = Callable[..., Transport]


@pytest.fixture
def transport(authority: Authority) -> Iterator[Make]:
    made: list[Transport] = []

    def make(**options: Any) -> Transport:
        rules = UrlRules(allow_loopback=True)
        made.append(Transport(rules, verify=authority.bundle, resolver=resolver, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def post(transport: Transport, url: str) -> Outcome:
    return transport.send(Outgoing(method="POST", url=url, headers=(), body=b"{}", timeout=2))


def speaking(authority: Authority, first: ssl.TLSVersion, last: ssl.TLSVersion) -> ssl.SSLContext:
    """Make a server's context for these versions, however old."""
    context = authority.context("hooks.localhost")
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = first, last
    return context


def lenient(authority: Authority) -> ssl.SSLContext:
    """Make a client's context that takes any version."""
    context = ssl.create_default_context(cafile=authority.bundle)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    return context


OLD = [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1]


@pytest.mark.parametrize("version", OLD)
def test_old_versions_are_refused(
    version: ssl.TLSVersion, authority: Authority, transport: Make
) -> None:
    """A receiver that speaks TLS 1.0 or 1.1, and does so with others, gets no request from us."""
    context = speaking(authority, version, version)
    with receiving(over_tls(answering(OK, OK), context)) as receiver:
        try:
            with socket.create_connection(("127.0.0.1", receiver.port)) as raw:
                lenient(authority).wrap_socket(raw, server_hostname="hooks.localhost").close()
        except ssl.SSLError as error:
            pytest.skip(f"this OpenSSL has no {version.name}: {error.reason}")
        outcome = post(transport(), f"https://hooks.localhost:{receiver.port}/")
    assert (outcome.reason, receiver.requests) == (Reason.tls, [])
    assert outcome.detail.startswith("the TLS handshake failed: ")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_new_versions_are_spoken(
    version: ssl.TLSVersion, authority: Authority, transport: Make
) -> None:
    """A receiver that speaks TLS 1.2 or 1.3 only is reached."""
    context = speaking(authority, version, version)
    with receiving(over_tls(answering(OK), context)) as receiver:
        assert post(transport(), f"https://hooks.localhost:{receiver.port}/").status == 200


def asking(authority: Authority) -> ssl.SSLContext:
    """Make the context of a server that wants a certificate of its clients."""
    context = authority.context("hooks.localhost")
    context.load_verify_locations(authority.bundle)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_a_client_certificate_is_shown(authority: Authority, transport: Make) -> None:
    """A receiver that asks for a certificate gets the operator's."""
    seen: list[Any] = []

    def behave(receiver: Any, conn: Any) -> None:
        seen.append(conn.getpeercert()["subject"])
        answering(OK)(receiver, conn)

    file = authority.issue("sender.example.com")
    with receiving(over_tls(behave, asking(authority))) as receiver:
        sender = transport(client_cert=(file, file))
        outcome = post(sender, f"https://hooks.localhost:{receiver.port}/")
    assert outcome.status == 200
    assert seen == [((("commonName", "sender.example.com"),),)]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_without_a_client_certificate_the_receiver_refuses(
    version: ssl.TLSVersion, authority: Authority, transport: Make
) -> None:
    """A receiver that demands a certificate that we have not is a failure of TLS."""
    context = asking(authority)
    context.maximum_version = version
    with receiving(over_tls(answering(OK), context)) as receiver:
        outcome = post(transport(), f"https://hooks.localhost:{receiver.port}/")
    assert (outcome.reason, receiver.requests) == (Reason.tls, [])


def test_an_unusable_client_certificate_is_an_error_at_once(authority: Authority) -> None:
    """A certificate that does not fit its key is no transport at all."""
    wrong = authority.issue("sender.example.com"), authority.issue("other.example.com")
    with pytest.raises(ssl.SSLError):
        Transport(UrlRules(), verify=authority.bundle, client_cert=wrong)


def test_the_settings_reach_the_worker(
    webhooks: Webhooks, make_app: Callable[..., Flask], authority: Authority
) -> None:
    """``WEBHOOKS_CLIENT_CERT`` and ``WEBHOOKS_CA_BUNDLE`` hold for what is delivered."""
    ping = webhooks.webhook("ping", {"type": "object"})
    file = authority.issue("sender.example.com")
    app = make_app(WEBHOOKS_CLIENT_CERT=(file, file), WEBHOOKS_CA_BUNDLE=authority.bundle)
    webhooks.init_app(app)
    context = asking(authority)
    context.load_cert_chain(authority.issue("127.0.0.1"))
    with receiving(over_tls(answering(OK), context)) as receiver, app.app_context():
        webhooks.subscribe(f"https://127.0.0.1:{receiver.port}/", ["ping"])
        ping.send({})
        webhooks.run_until_idle()
        assert [delivery.status for delivery in webhooks.deliveries()] == ["delivered"]


def test_connections_are_not_shared_between_names(authority: Authority, transport: Make) -> None:
    """Two names at one address and port, under one certificate, have connections of their own."""
    context = authority.context("a.localhost", "b.localhost")
    asked: list[str | None] = []
    context.set_servername_callback(lambda sock, name, context: asked.append(name))
    with receiving(over_tls(answering(*[OK] * 4), context)) as receiver:
        sender = transport()
        for name in ("a", "b", "a", "B"):
            assert post(sender, f"https://{name}.localhost:{receiver.port}/").status == 200
    assert asked == ["a.localhost", "b.localhost"]
    assert receiver.connections == 2


def test_a_name_is_not_served_by_another_names_connection(
    authority: Authority, transport: Make
) -> None:
    """A name that the certificate does not hold fails, though a sibling's connection is open."""
    context = authority.context("a.localhost")
    with receiving(over_tls(answering(*[OK] * 4), context)) as receiver:
        sender = transport()
        reasons = [
            post(sender, f"https://{name}.localhost:{receiver.port}/").reason for name in "aba"
        ]
    assert reasons == [Reason.answered, Reason.tls, Reason.answered]


def test_connections_are_not_shared_between_schemes(authority: Authority, transport: Make) -> None:
    """An http request never goes over an https connection to the same host and port, or back."""

    def behave(receiver: Any, conn: socket.socket) -> None:
        secure = conn.recv(1, socket.MSG_PEEK) == b"\x16"
        answer = answering(*[OK] * 4)
        (over_tls(answer, context) if secure else answer)(receiver, conn)

    context = authority.context("a.localhost")
    with receiving(behave) as receiver:
        sender = transport()
        for scheme in ("https", "http", "https", "http"):
            assert post(sender, f"{scheme}://a.localhost:{receiver.port}/").status == 200
    assert receiver.connections == 2


def test_a_name_and_its_address_do_not_share(authority: Authority, transport: Make) -> None:
    """A host named by its address has connections of its own."""
    context = authority.context("a.localhost", "127.0.0.1")
    with receiving(over_tls(answering(*[OK] * 4), context)) as receiver:
        sender = transport()
        for host in ("a.localhost", "127.0.0.1", "a.localhost"):
            assert post(sender, f"https://{host}:{receiver.port}/").status == 200
    assert receiver.connections == 2
