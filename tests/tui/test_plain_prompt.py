import asyncio
import hashlib
import os
import re
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from tests.tui.plain_stage import Person, ask, play
from tests.tui.question_daemon import RULE, QuestionDaemon, question_daemon
from tests.tui.waiting import until
from tests.view.sample_prompts import CURL, connection_of, prompt_of
from tinysnitch.client.prompt_client import PromptClient
from tinysnitch.core.model.asking_mode import ASKING, begin_mode
from tinysnitch.core.model.process import ProgramFile
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice, Lifetime, RemoteScope
from tinysnitch.kernel.proc import procfs
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.tui import daemon_link, plain_prompt
from tinysnitch.tui.daemon_link import DaemonLink
from tinysnitch.tui.paint_report import REQUEST
from tinysnitch.tui.plain_prompt import PlainPrompt, run_plain_prompt
from tinysnitch.tui.terminal import Terminal
from tinysnitch.view.answer_notice import ASKING_AGAIN
from tinysnitch.view.key_guard import TEXT_S, KeyGuard
from tinysnitch.view.prompt_events import ConnectionLost, NoticeGiven, QuestionOpened
from tinysnitch.view.prompt_view import PromptView


@pytest.mark.parametrize(("key", "is_guest"), [("m", False), ("d", True)])
def test_who_types_on_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, is_guest: bool) -> None:
    noted, said = list[float](), list[float]()
    note, say = KeyGuard.note_typing, plain_prompt.ready_line

    async def script(daemon: QuestionDaemon, person: Person) -> None:
        daemon.open(prompt_of(1))
        await person.see("curl wants to reach shop.test")
        person.type(key)  # a letter of a text, or any letter where a command had the terminal
        await until(lambda: noted and said and said[-1] > noted[0])
        person.type("q")

    monkeypatch.setattr(KeyGuard, "note_typing", lambda *at, **what: noted.append(at[1]) or note(*at, **what))
    monkeypatch.setattr(plain_prompt, "ready_line", lambda view: said.append(time.monotonic()) or say(view))
    play(tmp_path, script, delay_s=TEXT_S / 2, is_guest=is_guest)
    assert min(moment for moment in said if moment > noted[0]) >= noted[0] + TEXT_S


def test_keys_answer_the_question_that_was_printed(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, person: Person) -> None:
        await person.see("no questions\n")
        daemon.open(prompt_of(1))
        await person.see("one question: curl wants to reach shop.test\npath: /usr/bin/curl\n")
        await person.see("keys: y allow, n deny, h help\n")
        person.type("fdn")
        choice = Choice(verdict=Verdict.DENY, lifetime=Lifetime.FOREVER, remote=RemoteScope.DOMAIN)
        assert await daemon.answers.get() == (1, choice)
        await person.see("no questions\n")
        person.type("q")

    assert play(tmp_path, script, delay_s=0.05) == 0


def test_of_questions_that_end_together_only_the_one_that_is_left_is_read_out(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, person: Person) -> None:
        for number in range(1, 101):
            daemon.open(prompt_of(number))
        await person.see("keys: ")
        for number in range(1, 100):
            daemon.close(number, "no answer within 60 s")
        await until(lambda: "one question: curl wants to reach shop.test" in person.seen)
        assert person.seen.count("no answer within 60 s, denied") == 99  # each is told, though all in the same words
        assert person.seen.count("asked because") < 10
        await person.see("keys: ")
        person.type("q")

    play(tmp_path, script, delay_s=0.05)


def test_a_pause_is_told_when_it_begins_with_each_question_and_when_it_ends(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, person: Person) -> None:
        daemon.clients.change_mode(begin_mode(Verdict.ALLOW, 600.0, read_instant()))
        await person.see("paused, 10 min 0 s left: what no rule covers passes unasked")
        daemon.open(prompt_of(1))
        await person.see("warning: paused, ")
        await person.see("keys: ")
        daemon.clients.change_mode(ASKING)
        await person.see(ASKING_AGAIN)
        person.type("q")

    play(tmp_path, script, delay_s=0.05)


def test_what_is_looked_up_of_the_file_is_told_when_it_is_known(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("#!/bin/sh\n")
    process = msgspec.structs.replace(CURL, program=str(path), executable=str(path), inode=path.stat().st_ino)

    async def script(daemon: QuestionDaemon, person: Person) -> None:
        daemon.open(prompt_of(1, connection_of(process)))
        await person.see(f"sha256: {hashlib.sha256(path.read_bytes()).hexdigest()}\n")
        person.type("q")

    play(tmp_path, script, delay_s=0.05)


def test_the_rule_is_printed_again_at_each_toggle(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, person: Person) -> None:
        await ask(daemon, person)
        for key, text in (
            ("f", "rule: allow shop.test 443 tcp /usr/bin/curl -s https://shop.test/\nholds: forever"),
            ("d", "rule: allow *.shop.test 443 tcp /usr/bin/curl -s https://shop.test/\n"),
            ("p", "rule: allow *.shop.test - tcp /usr/bin/curl -s https://shop.test/\n"),
            ("j", "rule: allow *.shop.test - tcp /usr/bin/curl\n"),
            ("h", "any key goes back; "),
            ("x", "one question: curl wants to reach shop.test\n"),
        ):
            person.type(key)
            await person.see(text)
        person.type("q")

    play(tmp_path, script, delay_s=0.05)


def test_all_of_a_program_are_answered_together(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, person: Person) -> None:
        daemon.open(prompt_of(1))
        daemon.open(prompt_of(2, connection_of(name="b.test")))
        await person.see("keys: y allow, n deny, g all 2 together, h help\n")
        person.type("g")
        await person.see("answers the 2 questions of curl, with 2 rules\n  shop.test\n  b.test\nrule: allow shop.test ")
        await person.see("holds: for 9 minutes\n")
        await asyncio.sleep(0.06)  # the delay itself is what must pass
        person.type("y")
        assert [(await daemon.answers.get())[0] for _number in range(2)] == [1, 2]
        await person.see("together: allow, for 9 minutes\nno questions\n")  # not before: more are being made
        person.type("q")

    assert play(tmp_path, script, delay_s=0.05) == 0


def test_one_of_the_list_is_left_out_and_asked_about_by_itself(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, person: Person) -> None:
        for number, name in enumerate(("a.test", "b.test", "c.test")):
            daemon.open(prompt_of(number, connection_of(name=name)))
        await person.see("g all 3 together, h help\n")
        person.type("g")
        await person.see("  a.test\n  b.test\n  c.test\n")
        await person.see("keys: ")
        for keys, told in (("\x1b[B", "  a.test\n"), ("\x1b[B", "  b.test\n"), (" ", "  b.test, left out\n")):
            person.type(keys)
            await person.see(told)
        person.type("\x1b[A\x1b[A")
        await person.see("at none: n is for all 3 in sight, 1 left out\n")
        person.type("y")
        assert [(await daemon.answers.get())[0] for _number in range(2)] == [0, 2]
        await person.see("curl wants to reach b.test")
        await asyncio.sleep(0.9)  # until `q` is no letter of a text
        person.type("q")

    assert play(tmp_path, script, delay_s=0.05) == 0


def test_keys_typed_ahead_do_nothing(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, person: Person) -> None:
        person.type("yyyy")
        daemon.open(prompt_of(1))
        await person.see("holds: for 9 minutes\n")
        person.type("ynfy\t\x1b[Ah")
        await person.see("any key goes back; ")
        daemon.close(1, "denied: nobody answered")
        await person.see("nobody answered")
        assert daemon.answers.empty()
        person.type("qq")  # the first goes back from the help

    play(tmp_path, script, delay_s=30.0)


def test_a_key_of_before_that_is_read_late_answers_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our process was late, and keys would count already; but it was not printed yet when the key was typed."""
    written = PlainPrompt._note_written

    async def script(daemon: QuestionDaemon, person: Person) -> None:
        def type_and_stall(session: PlainPrompt, view: PromptView) -> None:
            written(session, view)
            if view.is_question:
                monkeypatch.undo()
                person.type("y")
                time.sleep(0.3)

        monkeypatch.setattr(PlainPrompt, "_note_written", type_and_stall)
        await ask(daemon, person)
        person.type("n")
        assert await daemon.answers.get() == (1, Choice(verdict=Verdict.DENY))
        await person.see("no questions\n")
        person.type("q")

    assert play(tmp_path, script, delay_s=0.05) == 0


@pytest.mark.parametrize("text", ["yes, forever\n", "\x1b[200~y\x1b[201~", "\x1b[200~n\n\x1b[201~"])
def test_a_text_that_is_pasted_is_no_answer(tmp_path: Path, text: str) -> None:
    """Even a single letter, if the terminal was left in bracketed paste mode."""

    async def script(daemon: QuestionDaemon, person: Person) -> None:
        await ask(daemon, person)
        person.type(text)
        await person.see("keys: ")
        assert daemon.answers.empty()
        person.type("fy")
        assert await daemon.answers.get() == (1, Choice(verdict=Verdict.ALLOW, lifetime=Lifetime.FOREVER))
        person.type("q")

    play(tmp_path, script, delay_s=0.05)


def test_without_a_delay_all_keys_of_one_piece_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(daemon: QuestionDaemon, person: Person) -> None:
        monkeypatch.setattr(plain_prompt, "SHOW_S", 0.5)  # both come into sight together, however late the second is
        daemon.open(prompt_of(1))
        daemon.open(prompt_of(2))
        await person.see("all 2 together")
        person.type("y\ny\n")
        assert [(await daemon.answers.get())[0] for _ in range(2)] == [1, 2]
        person.type("q")

    play(tmp_path, script, delay_s=0.0)


def test_it_is_said_when_keys_count_again(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, person: Person) -> None:
        await ask(daemon, person)
        person.type("s")  # a letter of a text
        await person.see("keys: ")
        person.type("q")

    play(tmp_path, script, delay_s=0.25)


def test_hostile_text_is_printed_escaped(tmp_path: Path) -> None:
    process = msgspec.structs.replace(CURL, program="/tmp/\x1b]0;x\x07\u202e", args=("\x9b2J\n", "caf\udce9"))

    async def script(daemon: QuestionDaemon, person: Person) -> None:
        daemon.open(prompt_of(1, connection_of(process)))
        await until(lambda: "keys: " in person.seen)
        assert re.findall(r"[^\n -~]", person.seen.replace(REQUEST, "")) == []
        person.type("q")

    play(tmp_path, script, delay_s=0.01)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 0), (signal.SIGQUIT, 131), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_puts_the_terminal_back(tmp_path: Path, number: signal.Signals, status: int) -> None:
    async def script(daemon: QuestionDaemon, person: Person) -> None:
        await person.see("no questions")
        assert person.settings() != person.before
        os.kill(os.getpid(), number)

    assert play(tmp_path, script) == status


def test_a_guest_holds_the_terminal_only_while_it_asks(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, person: Person) -> None:
        assert person.settings() == person.before
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL  # it is for the command
        await ask(daemon, person)
        assert person.settings() != person.before
        person.type("\x1b[24;80Ry")  # before it what another program has asked the terminal for
        await daemon.answers.get()
        await until(lambda: person.settings() == person.before)
        await ask(daemon, person, 2)

    play(tmp_path, script, delay_s=0.05, is_guest=True)


@pytest.mark.parametrize("is_guest", [False, True])
def test_ctrl_z_gives_the_terminal_back_and_what_is_asked_afterwards_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_guest: bool
) -> None:
    stopped: list[object] = []

    async def script(daemon: QuestionDaemon, person: Person) -> None:
        monkeypatch.setattr(plain_prompt, "stop_job", lambda *what: stopped.append((*what, person.settings())))
        await ask(daemon, person)
        stopped_s = time.monotonic()
        os.kill(os.getpid(), signal.SIGTSTP)
        await person.see("keys: ")
        assert time.monotonic() - stopped_s > 0.25
        assert stopped == [(os.getpid(), *(() if is_guest else plain_prompt._LEAVE_SIGNALS), person.before)]
        monkeypatch.setattr(Terminal, "is_ours", not is_guest)
        os.kill(os.getpid(), signal.SIGTSTP)
        await person.see("answer it in another terminal" if is_guest else "keys: ")
        person.type("q")

    play(tmp_path, script, delay_s=0.25, is_guest=is_guest)


def test_who_answers_and_leaves_still_hears_that_it_was_taken(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, person: Person) -> None:
        await ask(daemon, person)
        person.type("yq")
        await until(lambda: re.search(rf"^answered.*: {re.escape(RULE)}\n", person.seen, re.MULTILINE))
        assert "ended the connection" not in person.seen

    assert play(tmp_path, script, delay_s=0.05) == 0


def test_a_daemon_that_says_nothing_keeps_no_one_and_is_not_called_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_link, "ANSWER_S", 0.05)
    people: list[Person] = []

    async def script(daemon: QuestionDaemon, person: Person) -> None:
        people.append(person)
        await ask(daemon, person)
        monkeypatch.setattr(PromptClient, "receive", lambda *_: iter(()))
        person.type("yq")

    assert play(tmp_path, script, delay_s=0.05) == 0
    assert "ended the connection" not in people[0].seen


class LateLink(DaemonLink):
    """A daemon link that tells many events at the end."""

    async def run(self) -> None:
        # nothing is looked up of a file that is not the host's: no other news come
        process = msgspec.structs.replace(CURL, is_host_file=False)
        self._tell(QuestionOpened(prompt_of(1, connection_of(process))))
        await asyncio.Event().wait()

    async def finish(self) -> None:
        self._tell(QuestionOpened(prompt_of(2, connection_of(name="b.test"))))
        self._tell(ConnectionLost("the daemon is gone"))
        self._tell(NoticeGiven("answered"))


def test_who_has_left_is_told_of_the_answer_and_of_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_prompt, "DaemonLink", LateLink)

    async def run() -> None:
        person = Person()
        asking = asyncio.create_task(run_plain_prompt("", person.tty_path, delay_s=0.05))
        await person.see("h help\n")
        person.type("yq")
        await until(lambda: "answered\n" in person.seen)
        assert person.seen == "answered\n"
        await asking
        person.close()

    asyncio.run(run())


def test_nothing_more_is_printed_where_a_command_has_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Terminal, "is_ours", False)
    found: list[ProgramFile] = []  # once it is looked up
    files = SimpleNamespace(find=lambda _process: found[0] if found else None)
    monkeypatch.setattr(plain_prompt, "ProgramFiles", lambda _tell: files)

    async def script(daemon: QuestionDaemon, person: Person) -> None:
        daemon.open(prompt_of(1))
        await person.see("answer it in another terminal with\n")
        found.append(ProgramFile("", "3bc7" * 16))
        daemon.clients.push_notice("a notice", "")
        await until(lambda: "a notice\n" in person.seen)
        assert not [word for word in ("sha256", "package") if word in person.seen]
        monkeypatch.setattr(Terminal, "is_ours", True)
        daemon.close(1)
        await ask(daemon, person, 2)

    play(tmp_path, script, delay_s=0.05, is_guest=True)


def test_that_the_program_has_ended_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_prompt, "LOOK_S", 0.05)

    async def script(daemon: QuestionDaemon, person: Person) -> None:
        child = await asyncio.create_subprocess_exec("sleep", "600")
        status = procfs.read_stat(child.pid)
        assert status
        # nothing is looked up of a file that is not the host's: no other news come
        process = msgspec.structs.replace(CURL, pid=child.pid, started_ns=status.started_ns, is_host_file=False)
        daemon.open(prompt_of(1, connection_of(process)))
        await person.see("keys: ")
        child.kill()
        await child.wait()
        await person.see("path: /usr/bin/curl (has ended)\n")
        person.type("q")

    play(tmp_path, script, delay_s=0.05)


def test_cancelling_puts_the_terminal_back(tmp_path: Path) -> None:
    async def run() -> None:
        async with question_daemon(tmp_path / "s") as daemon:
            person = Person()
            asking = asyncio.create_task(run_plain_prompt(str(tmp_path / "s"), person.tty_path))
            await until(daemon.attached.is_set)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            assert person.settings() == person.before
            person.close()

    asyncio.run(run())
