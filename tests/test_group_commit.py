"""Threads that store something at the same time share a transaction, and nothing else."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from flask_webhooks.store import group_commit
from flask_webhooks.store.adding import NewMessage, new_message
from flask_webhooks.store.database import Database
from flask_webhooks.store.group_commit import GroupCommit
from flask_webhooks.store.records import Message
from flask_webhooks.store.tables import make_tables

# Groups of a store that is a list


class Shelf:
    """What items are put on, each transaction a list of lists of what was stored together.

    :param patience: of its groups.
    """

    def __init__(self, patience: float = 10.0) -> None:
        self.group: GroupCommit[str, str] = GroupCommit(self.write, self.store, patience)
        self.committed: list[list[str]] = []
        #: Set while transactions may begin.
        self.open = threading.Event()
        self.open.set()
        #: What goes wrong: is given what a transaction stored before it is committed.
        self.fail: Callable[[list[str]], None] = lambda items: None
        self._items = threading.local()

    def write(self, work: Callable[[Any], Any]) -> Any:
        assert self.open.wait(10)
        self._items.stored = []
        result = work(None)
        self.fail(self._items.stored)
        self.committed.append(self._items.stored)
        return result

    def store(self, connection: object, items: Sequence[str]) -> list[str]:
        self._items.stored += items
        return [f"stored {item}" for item in items]

    def together(self, items: Sequence[str]) -> list[Future[str]]:
        """Have threads store items while no transaction can begin; the first of them leads."""
        self.open.clear()
        futures = []
        for waiting, item in enumerate(items):
            futures.append(in_thread(lambda i=item: self.group.store(i)))
            until(lambda n=waiting: self.group._leader and len(self.group._waiting) == n)
        self.open.set()
        return futures


def in_thread(act: Callable[[], Any]) -> Future[Any]:
    """What comes of it in a thread of its own, a BaseException too."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(act())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def until(there: Callable[[], object]) -> None:
    """Wait for what threads do; each look lets them run."""
    look = threading.Event()
    for _ in range(20_000):
        if there():
            return
        look.wait(0.0005)
    raise TimeoutError


def results(futures: Sequence[Future[str]]) -> list[str]:
    return [future.result(10) for future in futures]


def test_those_that_wait_share_the_transaction_of_the_first() -> None:
    """Four items are stored at once; each thread gets what became of its own."""
    shelf = Shelf()
    assert results(shelf.together("abcd")) == ["stored a", "stored b", "stored c", "stored d"]
    assert shelf.committed == [["a", "b", "c", "d"]]


def test_who_is_alone_waits_for_nobody() -> None:
    """Each item is committed before the next comes."""
    shelf = Shelf()
    assert [shelf.group.store(item) for item in "abc"] == ["stored a", "stored b", "stored c"]
    assert shelf.committed == [["a"], ["b"], ["c"]]


def test_who_comes_while_others_are_stored_is_of_the_next_group() -> None:
    """So a transaction ends soon, however many come."""
    shelf, came = Shelf(), []

    def bring(connection: object, items: Sequence[str]) -> list[str]:
        if not came:
            for n in range(3):
                came.append(in_thread(lambda n=n: shelf.group.store(f"late {n}")))
                until(lambda n=n: len(shelf.group._waiting) == n + 1)
        return Shelf.store(shelf, connection, items)

    shelf.group._store = bring
    assert shelf.group.store("early") == "stored early"
    assert results(came) == ["stored late 0", "stored late 1", "stored late 2"]
    assert shelf.committed == [["early"], ["late 0", "late 1", "late 2"]]


def test_a_group_has_room_for_so_many() -> None:
    """Of seventy, sixty-four are stored by the first and the rest by the next in line."""
    shelf = Shelf()
    results(shelf.together([str(n) for n in range(70)]))
    assert [len(items) for items in shelf.committed] == [64, 6]


def test_an_item_that_cannot_be_stored_harms_no_other() -> None:
    """Its thread alone gets the error; the others store theirs one by one."""
    shelf = Shelf()

    def refuse(items: list[str]) -> None:
        if "c" in items:
            raise ValueError(items)

    shelf.fail = refuse
    a, b, c, d = shelf.together("abcd")
    assert results([a, b, d]) == ["stored a", "stored b", "stored d"]
    with pytest.raises(ValueError, match=r"\['c'\]"):
        c.result(10)
    assert sorted(shelf.committed) == [["a"], ["b"], ["d"]]


def test_an_item_that_cannot_be_stored_is_tried_once_where_it_is_alone() -> None:
    """Nothing is stored again for nobody."""
    shelf, tried = Shelf(), []

    def refuse(items: list[str]) -> None:
        tried.append(items)
        raise ValueError(items)

    shelf.fail = refuse
    with pytest.raises(ValueError, match="a"):
        shelf.group.store("a")
    assert tried == [["a"]]


def test_a_transaction_that_is_tried_again_is_the_leaders_alone() -> None:
    """What joined it the first time was rolled back, and is stored by its own threads."""
    shelf, write, again = Shelf(), Shelf.write, [True]

    def busy(work: Callable[[Any], Any]) -> Any:
        if again.pop() if again else False:
            shelf.open.wait(10)
            shelf._items.stored = []
            work(None)
        return write(shelf, work)

    shelf.group._write = busy
    assert results(shelf.together("abc")) == ["stored a", "stored b", "stored c"]
    assert sorted(sum(shelf.committed, [])) == ["a", "b", "c"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_leader_that_is_interrupted_leaves_nobody_waiting(error: type[BaseException]) -> None:
    """Neither who was in its group nor who came after."""
    shelf = Shelf()

    def interrupt(items: list[str]) -> None:
        if "a" in items:
            raise error

    shelf.fail = interrupt
    a, *others = shelf.together("abc")
    with pytest.raises(error):
        a.result(10)
    assert results(others) == ["stored b", "stored c"]
    assert shelf.group.store("d") == "stored d"


@pytest.mark.parametrize("interrupted", ["b", "c"])
def test_who_is_interrupted_while_it_waits_leaves_nobody_waiting(
    interrupted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it was to lead by then."""
    shelf, wait = Shelf(), group_commit._Place.wait
    monkeypatch.setattr(group_commit, "MOST", 1)

    def interrupt(place: Any, patience: float) -> None:
        wait(place, patience)
        if place.item == interrupted:
            raise KeyboardInterrupt

    monkeypatch.setattr(group_commit._Place, "wait", interrupt)
    futures = dict(zip("abcd", shelf.together("abcd"), strict=True))
    with pytest.raises(KeyboardInterrupt):
        futures.pop(interrupted).result(10)
    assert results(list(futures.values())) == [f"stored {item}" for item in futures]
    assert (shelf.group._leader, list(shelf.group._waiting)) == (None, [])


def test_a_leader_that_does_not_come_back_is_not_waited_for_without_end() -> None:
    """After its patience a thread stores its own, and the next that comes leads."""
    shelf = Shelf(patience=0.05)
    stuck, block = threading.Event(), threading.Event()

    def hang(work: Callable[[Any], Any]) -> Any:
        stuck.set()
        return block.wait(10) and Shelf.write(shelf, work)

    shelf.group._write = hang
    gone = in_thread(lambda: shelf.group.store("a"))
    assert stuck.wait(10)
    shelf.group._write = shelf.write
    assert shelf.group.store("b") == "stored b"
    assert shelf.group.store("c") == "stored c"
    assert shelf.committed == [["b"], ["c"]]
    block.set()
    assert gone.result(10) == "stored a"


# Messages in a file of SQLite's


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(make_tables(), uri=f"sqlite:///{tmp_path / 'own.sqlite3'}")
    database.ensure_tables()
    yield database
    database.dispose()


@pytest.fixture
def commits(database: Database) -> list[object]:
    """One for each transaction that was committed."""
    seen: list[object] = []
    event.listen(database.engine, "commit", seen.append)
    return seen


def a_message(message_id: str, **changed: Any) -> NewMessage:
    values = {"name": "n", "key": None, "tenant": None, "body": b"{}", "idempotency_key": None}
    return new_message(message_id, **{**values, "now": 1, **changed})


def sent_together(
    database: Database, messages: Sequence[NewMessage], meanwhile: Callable[[], None] = lambda: None
) -> list[Future[Message]]:
    """Have threads send while another has the turn.

    :param meanwhile: is called when all of them wait.
    """
    group = database._group
    assert group is not None and database._turns is not None
    with database._turns.taken():
        futures = []
        for waiting, message in enumerate(messages):
            futures.append(in_thread(lambda m=message: database.send(m, then=lambda: None)))
            until(lambda n=waiting: group._leader and len(group._waiting) == n)
        meanwhile()
    return futures


def stored(database: Database) -> list[str]:
    rows = database.read(lambda c: c.execute(database.tables.messages.select()).all())
    return sorted(row.id for row in rows)


def test_messages_that_are_sent_together_are_one_commit(
    database: Database, commits: list[object]
) -> None:
    """Each thread gets its own message back."""
    names = [f"msg_{n:02}" for n in range(16)]
    futures = sent_together(database, [a_message(name, body=name.encode()) for name in names])
    found = [future.result(10) for future in futures]
    assert [(m.id, m.body.decode()) for m in found] == list(zip(names, names, strict=True))
    assert stored(database) == names
    assert len(commits) == 1


def test_send_returns_when_its_message_is_committed(database: Database) -> None:
    """None has returned, and none is there, before the turn came; then all are."""
    pair, seen = [a_message("msg_1"), a_message("msg_2")], []
    futures = sent_together(database, pair, lambda: seen.extend(stored(database)))
    for future in futures:
        assert future.result(10).id in stored(database)
    assert seen == []
    assert stored(database) == ["msg_1", "msg_2"]


def test_a_message_that_cannot_be_stored_harms_no_other(database: Database) -> None:
    """Its sender gets the database's own error."""
    bad: Any = None
    good, worse, better = sent_together(
        database, [a_message("msg_1"), a_message("msg_2", body=bad), a_message("msg_3")]
    )
    assert (good.result(10).id, better.result(10).id) == ("msg_1", "msg_3")
    with pytest.raises(IntegrityError, match=r"NOT NULL.*body"):
        worse.result(10)
    assert stored(database) == ["msg_1", "msg_3"]


def test_idempotency_keys_hold_within_a_group(database: Database, commits: list[object]) -> None:
    """The earliest is stored, and is what every sender of its key gets."""
    keys = ["x", "y", "x", None, "y"]
    new = [a_message(f"msg_{n}", idempotency_key=key) for n, key in enumerate(keys)]
    found = [future.result(10).id for future in sent_together(database, new)]
    assert found == ["msg_0", "msg_1", "msg_0", "msg_3", "msg_1"]
    assert stored(database) == ["msg_0", "msg_1", "msg_3"]
    assert len(commits) == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_of_a_fork_does_not_wait_for_a_leader_of_the_parent(database: Database) -> None:
    """It sends at once, and so does the parent's leader when it goes on."""
    group = database._group
    assert group is not None
    write, held, go_on = group._write, threading.Event(), threading.Event()
    group._patience = 60.0

    def hold(work: Callable[[Any], Any]) -> Any:
        held.set()
        return go_on.wait(10) and write(work)

    group._write = hold
    leader = in_thread(lambda: database.send(a_message("msg_parent"), then=lambda: None))
    assert held.wait(10)
    child = os.fork()
    if not child:
        status = 1
        signal.alarm(10)
        try:
            database.send(a_message("msg_child"), then=lambda: None)
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert stored(database) == ["msg_child"]
    go_on.set()
    assert leader.result(10).id == "msg_parent"
    assert stored(database) == ["msg_child", "msg_parent"]
