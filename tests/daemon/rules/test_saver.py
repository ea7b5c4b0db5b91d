"""Rules that answers make are written, at once or later."""

import asyncio
import errno
import logging
from contextlib import closing
from pathlib import Path

import pytest

from tests.core.engine.transcript import flow_of, no, whose, yes
from tests.daemon.loop.driver_place import Place, until
from tests.daemon.requests.small_handler import ROOT
from tinysnitch.core.engine.events import AnswerGiven, PacketQueued
from tinysnitch.core.prompts.choice import Lifetime
from tinysnitch.core.rules.rule_line import format_rule
from tinysnitch.daemon.rules import saver as rule_saver


def test_rules_and_temporary_rules_are_written(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            place.driver.feed(PacketQueued(1, flow_of(1), whose()))
            place.driver.feed(AnswerGiven(1, yes(), 0))
            place.driver.feed(PacketQueued(2, flow_of(2, port=80), whose()))
            place.driver.feed(AnswerGiven(2, no(Lifetime.DAY), 0))
            assert place.read_rules() == "allow 10.0.0.80 443 tcp /usr/bin/curl ()\n"
            assert "80 tcp" in (tmp_path / "temporary").read_text()

    asyncio.run(run())


def test_a_rule_that_cannot_be_written_holds_and_that_is_said(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            place.rules_file.path.unlink()
            place.rules_file.path.mkdir()
            place.driver.feed(PacketQueued(1, flow_of(1), whose()))
            place.driver.feed(AnswerGiven(1, yes(), 0))
            place.driver.feed(PacketQueued(2, flow_of(2), whose()))
            assert len(place.queue.sent) == 2
            await until(lambda: f"rule not saved: {place.rules_file.path}: " in place.read_log())

    asyncio.run(run())


RULE = "allow 10.0.0.80 443 tcp /usr/bin/curl ()"


def lose_a_rule(place: Place) -> Path:
    """Answer `forever` while the rules file is moved away; returns where it is."""
    moved = place.rules_file.path.rename(place.rules_file.path.with_suffix(".away"))
    place.driver.feed(PacketQueued(1, flow_of(1), whose()))
    place.driver.feed(AnswerGiven(1, yes(), 0))
    return moved


def count_tries(place: Place, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """A list that gets one entry for each try to write the rules again."""
    tries: list[None] = []
    save_again = place.rules_file.save_again

    def save_counted() -> None:
        tries.append(None)
        save_again()

    monkeypatch.setattr(place.rules_file, "save_again", save_counted)
    return tries


def rules_in_force(place: Place) -> list[str]:
    return [format_rule(rule) for rule in place.engine.rules]


def test_a_rule_that_could_not_be_written_outlives_a_reload_and_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_saver, "AGAIN_S", 0.01)

    async def run() -> None:
        with closing(Place(tmp_path, "deny - 23 tcp\n")) as place:
            moved = lose_a_rule(place)
            told: list[str] = []
            monkeypatch.setattr(place.clients, "push_notice", told.append)
            tries = count_tries(place, monkeypatch)
            assert place.counters.losses()["rules not saved"] == 1
            await until(lambda: len(tries) > 2)
            moved.rename(place.rules_file.path)
            place.reloader.reload_rules()
            assert rules_in_force(place) == ["deny - 23 tcp", RULE]
            await until(lambda: place.read_rules() == f"deny - 23 tcp\n{RULE}\n")
            assert told == [rule_saver.SAVED]
            place.reloader.reload_rules()
            assert rules_in_force(place) == ["deny - 23 tcp", RULE]
            assert place.counters.losses()["rules not saved"] == 0
            assert place.failures.count == 0  # a failure would be told with a traceback

    asyncio.run(run())


def test_a_rule_that_could_not_be_written_is_tried_at_the_end(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            lose_a_rule(place).rename(place.rules_file.path)
        assert place.read_rules() == f"{RULE}\n"

    asyncio.run(run())


def test_a_rule_that_could_not_be_written_and_was_removed_stays_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_saver, "AGAIN_S", 0.0)

    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            told: list[str] = []
            monkeypatch.setattr(place.clients, "push_notice", told.append)
            lose_a_rule(place).rename(place.rules_file.path)
            place.handler.remove_rule(RULE, ROOT)
            await asyncio.sleep(0.01)
            assert told == []
            assert (rules_in_force(place), place.read_rules()) == ([], "")

    asyncio.run(run())


def test_temporary_rules_that_a_restart_would_lose_are_counted(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            (tmp_path / "temporary").mkdir()
            for number in (1, 2):
                place.driver.feed(PacketQueued(number, flow_of(number, port=number), whose()))
                place.driver.feed(AnswerGiven(number, yes(Lifetime.DAY), 0))
                assert place.counters.losses()["rules not saved"] == number
                if number == 1:
                    continue
                (tmp_path / "temporary").rmdir()
                place.driver.feed(PacketQueued(3, flow_of(3, port=3), whose()))
                place.driver.feed(AnswerGiven(3, yes(Lifetime.DAY), 0))
            assert place.counters.losses()["rules not saved"] == 0

    asyncio.run(run())


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no temporary rules be written."""

    def fail(*_arguments: object, **_how: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tinysnitch.store.temporary_rules.replace_text", fail)


@pytest.mark.parametrize("is_at_end", [False, True])
def test_a_temporary_rule_that_was_removed_on_a_full_disk_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_at_end: bool
) -> None:
    """The old file would put it in force again at the next start."""
    monkeypatch.setattr(rule_saver, "AGAIN_S", 60.0 if is_at_end else 0.01)

    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            place.driver.feed(PacketQueued(1, flow_of(1), whose()))
            place.driver.feed(AnswerGiven(1, yes(Lifetime.DAY), 0))
            (rule,) = place.temporary_rules.read(0.0)
            with monkeypatch.context() as full:
                fill_disk(full)
                place.handler.remove_rule(format_rule(rule), ROOT)
                await asyncio.sleep(0.03)
            assert place.temporary_rules.read(0.0) == (rule,)
            if not is_at_end:
                await until(lambda: place.temporary_rules.read(0.0) == ())
        assert place.temporary_rules.read(0.0) == ()

    asyncio.run(run())


def test_what_cannot_be_written_of_the_one_keeps_the_other_from_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_saver, "AGAIN_S", 0.01)

    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            told: list[str] = []
            monkeypatch.setattr(place.clients, "push_notice", lambda text, hint="": told.append(text))
            moved = lose_a_rule(place)
            with monkeypatch.context() as full:
                fill_disk(full)
                place.driver.feed(PacketQueued(2, flow_of(2, port=80), whose()))
                place.driver.feed(AnswerGiven(2, no(Lifetime.DAY), 0))
                assert place.rule_saver.unsaved == 2
            await until(lambda: place.rule_saver.unsaved == 1)
            assert len(place.temporary_rules.read(0.0)) == 1
            assert not [text for text in told if text == rule_saver.SAVED]
            moved.rename(place.rules_file.path)
            await until(lambda: place.rule_saver.unsaved == 0)
            assert told[-1] == rule_saver.SAVED

    asyncio.run(run())


def test_what_fails_unforeseen_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rule_saver, "AGAIN_S", 0.01)

    def fail(_path: Path) -> None:
        raise MemoryError

    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            with monkeypatch.context() as broken:
                broken.setattr("tinysnitch.store.rules_file.read_bytes", fail)
                place.driver.feed(PacketQueued(1, flow_of(1), whose()))
                place.driver.feed(AnswerGiven(1, yes(), 0))
                assert place.clients.take_unsaved() is not None
                assert place.failures.count == 1
                await until(lambda: place.failures.count >= 3)
            await until(lambda: place.read_rules() == f"{RULE}\n")
            assert "rule not saved" in place.read_log()

    with caplog.at_level(logging.CRITICAL):
        asyncio.run(run())
