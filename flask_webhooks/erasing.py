"""Erases a person from what is stored: found by private fields and keys, with a report."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable

from .exceptions import WebhooksError
from .reports import ErasedOf, Erasure
from .rules import echoes
from .rules.privacy import Privacy
from .store import erasing
from .store.database import Database
from .store.erasing import Left, Stored, Touched


class Eraser:
    """Looks through all that is stored, in batches, while sending goes on.

    :param subject: what names the person, such as an address; compared exactly.
    :param name: of the only webhook to look at.
    :param privacy: from the name of a webhook to what is private in its payloads.
    :param now: microseconds since 1970.
    :raises WebhooksError: the subject is empty, or no text.
    """

    def __init__(
        self,
        subject: str,
        *,
        name: str | None,
        dry_run: bool,
        database: Database,
        privacy: Callable[[str], Privacy],
        now: int,
    ) -> None:
        self._subject = _checked(subject)
        self._name = name
        self._dry_run = dry_run
        self._database = database
        self._privacy = privacy
        self._now = now
        self._messages: dict[str, list[str]] = defaultdict(list)
        self._mentions: dict[str, list[str]] = defaultdict(list)
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)

    def run(self) -> Erasure:
        """Find what there is, and erase it unless that is not wanted."""
        # The way in which payloads are stored; numbers are written alike.
        part = json.dumps(self._subject, ensure_ascii=False)[1:-1].encode()
        for batch in erasing.messages_holding(self._database, part, self._subject, self._name):
            for name in sorted({one.name for one in batch}):
                self._judge(name, [one for one in batch if one.name == name])
        self._blank_answers()
        if not self._dry_run:
            erasing.finish(self._database, self._now)
        return self._report()

    def _judge(self, name: str, batch: list[Stored]) -> None:
        """Tell messages about the person from those that only mention it, and erase the former."""
        privacy, about = self._privacy(name), []
        for one in batch:
            payload, keyed = json.loads(one.body), one.key == self._subject
            if keyed or privacy.speaks_of(payload, self._subject):
                about.append(Left(one.id, _stored(privacy.masked(payload)), keyed))
            else:
                self._mentions[name].append(one.id)
        if about:
            touched = self._erase(about)
            self._messages[name] += [one.id for one in about]
            self._counts[name].update(touched._asdict())

    def _erase(self, about: list[Left]) -> Touched:
        tables, ids = self._database.tables, [one.id for one in about]
        if self._dry_run:
            return self._database.read(lambda c: erasing.touched(c, tables, ids, self._now))
        return self._database.write(lambda c: erasing.erase(c, tables, about, self._now))

    def _blank_answers(self) -> None:
        """Blank what receivers answered to other messages, where that holds the subject."""
        known = {one for found in self._messages.values() for one in found}
        parts = {text.encode() for text in echoes.spellings(self._subject)}
        for batch in erasing.answers_holding(self._database, parts, self._name):
            ids = []
            for one in batch:
                if one.message_id not in known and self._is_in(echoes.decoded(one.excerpt)):
                    ids.append(one.attempt_id)
                    self._counts[one.name]["answers"] += 1
            if ids and not self._dry_run:
                erasing.blank(self._database, ids)

    def _is_in(self, answer: str) -> bool:
        return echoes.without({self._subject}, answer) != answer

    def _report(self) -> Erasure:
        names = {*self._messages, *self._mentions, *self._counts}
        subscriptions = erasing.subscriptions_holding(
            self._database, echoes.spellings(self._subject), self._subject
        )
        return Erasure(
            dry_run=self._dry_run,
            webhooks=tuple(self._of(name) for name in sorted(names)),
            subscriptions=tuple(subscriptions),
        )

    def _of(self, name: str) -> ErasedOf:
        counts = self._counts[name]
        return ErasedOf(
            name=name,
            messages=tuple(self._messages[name]),
            deliveries=counts["deliveries"],
            under_way=counts["under_way"],
            answers=counts["answers"],
            mentions=tuple(self._mentions[name]),
        )


def _checked(subject: str) -> str:
    try:
        subject.encode()
    except UnicodeEncodeError:
        raise WebhooksError("The subject of an erasure is no Unicode text.") from None
    if not subject.strip():
        raise WebhooksError("The subject of an erasure is empty: give what names the person.")
    return subject


def _stored(payload: object) -> bytes:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
