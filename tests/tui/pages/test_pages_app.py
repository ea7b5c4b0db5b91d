import asyncio
import os
import time
from pathlib import Path

import pytest
from textual.events import Paste
from textual.pilot import Pilot

from tests.tui.app_stage import play, screen_of, see, until_ready
from tests.tui.prompt_process import prompt_in_terminal
from tests.tui.question_daemon import QuestionDaemon, question_daemon
from tests.tui.waiting import until
from tests.view.live.sample_traffic import entry
from tests.view.pages.open_page import LINES, entry_of
from tests.view.sample_prompts import connection_of, prompt_of
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.rules.changes import Act, Change, ChangedRule
from tinysnitch.tui.pages import pages_app
from tinysnitch.tui.pages.pages_app import PagesApp, run_pages
from tinysnitch.tui.prompt_app import PromptApp
from tinysnitch.view.key_guard import TEXT_S
from tinysnitch.view.pages.rules_page import RulesPage
from tinysnitch.view.pages.tabs import PageName


def rules_app(path: str, delay_s: float | None) -> PagesApp:
    return PagesApp(path, delay_s, PageName.RULES)


def test_it_begins_with_the_questions_and_a_key_goes_to_the_rules(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        daemon.rules = [entry_of(line) for line in LINES]
        await see(app, "no questions")
        await see(app, "F2  questions")
        await pilot.press("question_mark", "question_mark")  # the second turns to the next page
        await see(app, "another page (also Ctrl-N")
        await pilot.press("escape")
        await pilot.press("f6")
        await see(app, "3 rules")
        assert "no questions" not in screen_of(app)
        await pilot.press("ctrl+n")
        await see(app, "no questions")
        await pilot.click(offset=(screen_of(app).split("\n")[0].index("rules"), 0))
        await see(app, "3 rules")
        await pilot.press("question_mark")
        await see(app, "keys of rules")
        await pilot.press("q")
        await see(app, "3 rules")

    play(tmp_path / "s", script, make_app=PagesApp)


async def show_rules(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None], *lines: str) -> None:
    daemon.rules = [entry_of(line) for line in lines]
    await pilot.press("r")
    await see(app, f"{len(lines)} rule")


def test_a_question_that_opens_on_another_page_is_seen_and_no_key_there_answers_it(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        await show_rules(daemon, app, pilot, *LINES)
        daemon.open(prompt_of(1))
        await see(app, " ? curl wants to reach shop.test")
        for key in ("y", "n", "Y", "N", "f", "enter", "g", "y", "escape", "1"):
            await pilot.press(key)
        app.post_message(Paste("y\n"))
        await asyncio.sleep(0.3)
        await pilot.press("n")
        assert not app.state.guard.is_painted, "the question was never in sight"
        await pilot.press("f2")
        await until_ready(app)
        assert daemon.answers.empty()
        assert "curl wants to reach shop.test" in screen_of(app)
        await pilot.press("y")
        prompt_id, choice = await daemon.answers.get()
        assert (prompt_id, choice.verdict) == (1, Verdict.ALLOW)

    play(tmp_path / "s", script, make_app=rules_app)


def test_a_key_that_is_held_while_the_page_changes_answers_nothing(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        await see(app, "0 rules")
        daemon.open(prompt_of(1))
        await see(app, "F2 answers")
        await pilot.press("y", "f2")
        await until_ready(app)
        await pilot.press("y")
        await asyncio.sleep(0.3)
        assert daemon.answers.empty()
        await until(lambda: not app.state.guard.is_held("n", time.monotonic()))
        await pilot.press("n")
        assert (await daemon.answers.get())[1].verdict is Verdict.DENY

    play(tmp_path / "s", script, make_app=rules_app)


def test_a_question_counts_as_new_each_time_its_page_comes_back(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        daemon.open(prompt_of(1))
        await see(app, "curl wants to reach shop.test")
        sight = app.state.guard.sight
        await pilot.press("f6")
        await see(app, "F2 answers")
        await pilot.press("f2", "y")
        await see(app, "keys do not count yet")
        assert app.state.guard.sight > sight
        assert daemon.answers.empty()

    play(tmp_path / "s", script, delay_s=30.0, make_app=PagesApp)


def test_a_rule_is_removed_and_the_list_is_read_again(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        await show_rules(daemon, app, pilot, *LINES)
        await pilot.press("down", "x")
        await see(app, "remove this rule")
        daemon.rules = daemon.rules[1:]
        await asyncio.sleep(0.1)
        await pilot.press("enter")
        await see(app, "2 rules")
        assert daemon.changes == [("removed", LINES[0])]

    play(tmp_path / "s", script, make_app=rules_app)


def change_of(rule: ChangedRule) -> Change:
    return Change(number=7, wall_s=time.time() - 60, uid=os.geteuid(), act=Act.NO, rules=(rule,))


def test_the_last_answer_is_shown_and_taken_back(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        rule = ChangedRule(LINES[0], is_removed=True)
        daemon.undo.changes = [change_of(rule)]
        await show_rules(daemon, app, pilot, *LINES[1:])
        page = app.page  # type: ignore[attr-defined]
        await until(lambda: page.changes)
        await pilot.press("z")
        await see(app, f"comes back  + {LINES[0]}")
        for key in "zebra":
            await pilot.press(key)
        await pilot.press("enter")
        assert daemon.undo.taken_back == []
        await asyncio.sleep(0.3)
        daemon.rules = [entry_of(line, count=412, last=time.time()) for line in LINES]
        await pilot.press("enter")
        await see(app, f"put back: {LINES[0]} (change 7, by you)")
        await see(app, "412 times, last at ")
        assert daemon.undo.taken_back == [7]

    play(tmp_path / "s", script, make_app=rules_app)


def test_a_refusal_is_told_and_an_answer_has_the_rules_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> str:
        raise SnitchError("the rule is not yours")

    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        await show_rules(daemon, app, pilot, LINES[0])
        await pilot.press("down", "x")
        await asyncio.sleep(0.1)
        await pilot.press("enter")
        await see(app, "the rule is not yours")
        daemon.open(prompt_of(1))
        await see(app, "F2 answers")
        daemon.rules = [entry_of(line) for line in LINES]
        daemon.close(1)
        await see(app, "3 rules")

    monkeypatch.setattr(QuestionDaemon, "remove_rule", refuse)
    play(tmp_path / "s", script, make_app=rules_app)


def test_rules_that_come_from_elsewhere_are_seen_while_their_page_is_in_sight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        await show_rules(daemon, app, pilot, LINES[0])
        await pilot.press("down")
        daemon.rules = [entry_of(LINES[2]), entry_of(LINES[0], count=412, last=time.time())]
        await see(app, "2 rules")
        await see(app, "412 times, last at ")
        await pilot.press("f2")
        await see(app, "no questions")
        read = daemon.read_count
        await asyncio.sleep(0.3)
        assert daemon.read_count == read

    monkeypatch.setattr(RulesPage, "again_s", 0.05)
    play(tmp_path / "s", script, make_app=rules_app)


def test_in_a_small_terminal_a_question_has_all_rows(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        daemon.open(prompt_of(1, connection_of()))
        await see(app, "curl wants to reach")
        assert "F2" not in screen_of(app).split("\n")[0]
        await pilot.press("f6")
        await see(app, "0 rules")
        await pilot.press("q")

    play(tmp_path / "s", script, size=(40, 14), make_app=PagesApp)


def test_the_pages_run_as_the_prompt_does(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def run(path: str, *, plain: bool, make_app: object) -> int:
        made.append(make_app(path, None))  # type: ignore[operator]
        return 7 if not plain else 1

    monkeypatch.setattr(pages_app, "run_prompt", run)
    with pytest.raises(SnitchError, match="the live page needs a terminal") as refused:
        run_pages("/s", PageName.LIVE)
    assert "--once" in refused.value.hint
    assert run_pages("/s", PageName.RULES) == 7
    assert made[0].on_page is PageName.RULES


@pytest.mark.slow
def test_in_a_terminal_an_answer_is_taken_back_by_enter_and_by_no_text(tmp_path: Path) -> None:
    async def run() -> None:
        path = tmp_path / "s"
        async with question_daemon(path) as daemon, prompt_in_terminal(path, "top") as shown:
            daemon.rules = [entry_of(line, count=412, last=time.time()) for line in LINES]
            daemon.undo.changes = [change_of(ChangedRule(LINES[1]))]
            await until(lambda: b"nobody talks" in shown.shown)
            shown.type(b"\x1b[17~")  # F6 (terminfo: kf6)
            await until(lambda: b"3 rules" in shown.shown)
            shown.type(b"\x1b[B")
            await until(lambda: b"412 times, last at " in shown.shown)
            shown.type(b"z")
            await until(lambda: b"take back what you did" in shown.shown)
            shown.type(b"xz\r\r")  # a text
            await asyncio.sleep(TEXT_S + 0.2)
            assert (daemon.changes, daemon.undo.taken_back) == ([], [])
            shown.type(b"\r")
            await until(lambda: b"taken back: deny *.ads.test" in shown.shown)
            assert (daemon.changes, daemon.undo.taken_back) == ([], [7])
            shown.type(b"q")
            assert await asyncio.wait_for(shown.process.wait(), 60) == 0
            assert shown.is_put_back()

    asyncio.run(run())


def live_app(path: str, delay_s: float | None) -> PagesApp:
    return PagesApp(path, delay_s, PageName.LIVE)


def test_the_live_page_looks_while_it_is_in_sight_and_no_longer(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        await see(app, "nobody talks")
        await until(lambda: daemon.watchers)
        daemon.count(entry(), entry("/usr/bin/wget"))
        await see(app, "2 programs")
        await pilot.press("slash", *"wget", "enter")
        await see(app, "1 program,")
        await pilot.press("f2")
        await until(lambda: not daemon.watchers)
        await pilot.press("f3")
        await see(app, "wget")
        await until(lambda: daemon.watchers)

    play(tmp_path / "s", script, make_app=live_app)


def test_a_rule_is_made_of_what_talks(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        await until(lambda: daemon.watchers)
        daemon.count(entry())
        await see(app, "1 program,")
        await pilot.press("down", "n")
        await see(app, "deny - 443 tcp /usr/bin/curl")
        await asyncio.sleep(0.1)
        daemon.open(prompt_of(1))
        await see(app, "F2 answers")
        await pilot.press("enter")
        await see(app, "written: deny - 443 tcp /usr/bin/curl")
        assert daemon.changes == [("added", "deny - 443 tcp /usr/bin/curl")]
        assert daemon.answers.empty()

    play(tmp_path / "s", script, make_app=live_app)


def test_from_a_question_the_row_of_its_program_is_selected(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        daemon.open(prompt_of(1))
        await see(app, "curl wants to reach shop.test")
        await pilot.press("f3")
        await until(lambda: daemon.watchers)
        daemon.count(entry("/usr/bin/wget"), entry(name="other.test"))
        await see(app, "other.test :443")
        await see(app, "/usr/bin/curl")

    play(tmp_path / "s", script, make_app=PagesApp)
