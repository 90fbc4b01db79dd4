"""``flask webhooks`` puts right: counted first, done on ``--yes``."""

from __future__ import annotations

from typing import Any

from flask import Flask

from flask_webhooks import Webhooks, verify
from tests import test_cli_looking
from tests.conftest import Receiver
from tests.test_cli_looking import asked

cli, sent = test_cli_looking.cli, test_cli_looking.sent


def test_a_delivery_is_cancelled_and_replayed(cli: Any, sent: dict[str, Any]) -> None:
    """Given up by hand, then made again; a dry run changes nothing."""
    one = str(sent["id"])
    assert cli("cancel", one).output == f"Cancelled {one}.\n"
    assert cli("cancel", one).exit_code == 1
    assert asked(cli("replay", one, "--json")) == {"count": 1, "dry_run": True}
    assert asked(cli("replay", one, "--json")) == {"count": 1, "dry_run": True}
    assert asked(cli("replay", one, "--yes", "--json")) == {"count": 1, "dry_run": False}
    assert asked(cli("deliveries", "--json"))["reason"] == "replayed"


def test_a_rotated_secret_is_shown_once(
    cli: Any, sent: dict[str, Any], receiver: Receiver, app: Flask, webhooks: Webhooks
) -> None:
    """The receiver verifies with it, and lists never show it."""
    rotated = asked(cli("rotate", sent["subscription"], "--json"))
    assert "It can't be shown again." in cli("rotate", sent["subscription"]).output
    assert rotated["secret"] not in cli("show", sent["subscription"]).output
    cli("replay", str(sent["id"]), "--yes")
    cli("test", sent["subscription"])
    cli("worker", "--until-idle")
    received = receiver.received[-1]
    assert verify(received.body, received.headers, rotated["secret"])


def test_an_overlap_is_told_as_it_is(cli: Any, sent: dict[str, Any]) -> None:
    """Without one the secret before signs no more."""
    one = sent["subscription"]
    told = [cli("rotate", one, "--overlap", overlap).output for overlap in ("60", "0")]
    assert told[0].endswith("Until the overlap ends, the one before signs, too.\n")
    assert told[1].endswith("It can't be shown again. The one before signs no more.\n")


def test_a_test_message_names_itself(cli: Any, sent: dict[str, Any]) -> None:
    """And what to type to see what came of it; of a webhook that is not wanted it is refused."""
    output = cli("test", sent["subscription"]).output
    assert output.startswith("Stored msg_") and "flask webhooks show msg_" in output
    refused = cli("test", sent["subscription"], "--name", "sent")
    assert refused.output == "Error: The subscription wants paid, and not 'sent'.\n"


def test_old_messages_are_purged(cli: Any, sent: dict[str, Any]) -> None:
    """Counted, then deleted; nothing that is pending."""
    assert asked(cli("purge", "--days", "0", "--json"))["count"] == 0
    cli("cancel", str(sent["id"]))
    assert cli("purge", "--days", "0").output == (
        "This would delete 1 message. Add --yes to do it.\n"
    )
    assert cli("purge", "--days", "0", "--yes").output == "Deleted 1 message.\n"
    assert cli("show", sent["message"]).exit_code == 1


def test_enabling_twice_is_no_error(cli: Any, sent: dict[str, Any]) -> None:
    """It says that it was so already."""
    one = sent["subscription"]
    assert cli("enable", one).output == f"{one} is enabled already.\n"
