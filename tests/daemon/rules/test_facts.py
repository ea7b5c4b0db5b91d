"""What the words of rules stand for on this machine."""

import asyncio
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.daemon.rules.small_facts import make_fact_source
from tests.lab.patience import WAIT_S
from tinysnitch.core.model.flow import parse_address
from tinysnitch.core.policy.references import Mentions
from tinysnitch.daemon.rules import facts as fact_source
from tinysnitch.daemon.rules import users as user_ids
from tinysnitch.daemon.rules.facts import SILENT, FactSource
from tinysnitch.daemon.rules.lists import ListCompiler, ListLoader
from tinysnitch.store import file_stamp

SAID = Mentions(lists=frozenset({"ads"}), users=frozenset({"root"}))


def source_of(folder: Path, max_threads: int = 0) -> FactSource:
    lists = ListLoader(folder / "lists", folder / "cache", ListCompiler())
    return make_fact_source(lists, max_threads=max_threads)


def write_list(folder: Path, text: str) -> None:
    (folder / "lists").mkdir(exist_ok=True)
    (folder / "lists" / "ads").write_text(text)


def test_lists_users_and_links_of_the_rules(tmp_path: Path) -> None:
    write_list(tmp_path, "ads.test\n")
    (tmp_path / "lists" / "other").write_text("other.test\n")
    (tmp_path / "link").symlink_to(tmp_path / "lists")
    facts = source_of(tmp_path).read(replace(SAID, paths=frozenset({f"{tmp_path}/link"})))
    assert facts.lists["ads"].has_name("ads.test")
    assert set(facts.lists) == {"ads"}
    assert facts.users == {"root": 0}
    assert facts.links == {f"{tmp_path}/link": f"{tmp_path}/lists"}


def test_a_user_that_is_not_there_is_said(tmp_path: Path) -> None:
    source = source_of(tmp_path)
    source.read(Mentions(users=frozenset({"root", "no\none"})))
    assert source.problems == {r"there is no user $'no\none', its rules match nothing": 1}


def test_a_user_that_takes_long_to_look_up_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = threading.Event()
    monkeypatch.setattr(user_ids, "find_uid", lambda _name: is_over.wait(60))
    monkeypatch.setattr(user_ids, "MOMENT_S", 0.0)

    async def run() -> None:
        source = source_of(tmp_path, max_threads=1)
        alice = Mentions(users=frozenset({"alice"}))
        assert source.is_awaited(alice)
        assert source.read(alice).users == {}
        assert source.problems == {"user alice is not looked up yet, its rules match nothing until then": 1}
        is_over.set()

    asyncio.run(run())


def test_what_is_the_same_compares_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_stamp, "SETTLE_NS", -(10**18))
    write_list(tmp_path, "ads.test\n")
    source = source_of(tmp_path)
    before = source.read(SAID)
    assert source.read(SAID) == before
    write_list(tmp_path, "ads.test\nmore.test\n")
    assert source.read(SAID).lists["ads"].has_name("more.test")


def test_a_list_that_is_not_there_holds_nothing_and_that_is_said(tmp_path: Path) -> None:
    source = source_of(tmp_path)
    assert source.read(SAID).lists == {}
    assert source.problems == {"list ads is not there, its rules match nothing": 1}
    assert not source.is_awaited(SAID)


def test_lines_that_are_none_are_said(tmp_path: Path) -> None:
    write_list(tmp_path, "ads.test\n? ?\n")
    source = source_of(tmp_path)
    source.read(SAID)
    assert source.problems == {"lines of list ads not understood": 1}


def test_a_list_that_cannot_be_read_is_the_one_that_was_read_before(tmp_path: Path) -> None:
    write_list(tmp_path, "ads.test\n")
    source = source_of(tmp_path)
    source.read(SAID)
    with (tmp_path / "lists" / "ads").open("w") as file:
        file.truncate(1 << 40)
    assert source.read(SAID).lists["ads"].has_name("ads.test")
    assert source.problems == {"list ads could not be read again: larger than 256 MB": 1}


def test_resolvers_of_ones_own_are_trusted_too(tmp_path: Path) -> None:
    more = frozenset({parse_address("203.0.113.53")})
    lists = ListLoader(tmp_path / "lists", tmp_path / "cache", ListCompiler())
    assert (
        make_fact_source(lists, more).read(Mentions()).resolvers
        == source_of(tmp_path).read(Mentions()).resolvers | more
    )


def test_who_looks_names_up_unseen_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fact_source, "find_name_services", lambda: ["programs ask"])
    source = source_of(tmp_path)
    assert source.name_services == ()
    source.read(Mentions())
    assert source.problems == {"programs ask": 1}
    assert source.name_services == ("programs ask",)


def test_how_names_are_looked_up_is_as_it_was_while_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fact_source, "AGAIN_S", 0.01)
    is_over = threading.Event()

    async def run() -> None:
        is_again = asyncio.Event()
        lists = ListLoader(tmp_path / "lists", tmp_path / "cache", ListCompiler())
        source = make_fact_source(lists, again=is_again.set)
        monkeypatch.setattr(fact_source, "find_name_services", lambda: ["programs ask"])
        before = source.read(Mentions())
        monkeypatch.setattr(fact_source, "find_name_services", lambda: is_over.wait(60) and [])
        assert source.read(Mentions()).resolvers == before.resolvers
        assert source.problems == {"programs ask": 1, SILENT: 1}
        is_over.set()
        async with asyncio.timeout(WAIT_S):
            while source.problems:  # on a slow machine a pause may come first, after a long wait in vain
                await is_again.wait()
                is_again.clear()
                source.read(Mentions())

    asyncio.run(run())
