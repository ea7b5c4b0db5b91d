from pathlib import Path

from click.shell_completion import CompletionItem, ShellComplete

from tests.cli.completion.test_rule_columns import AS_ALWAYS
from tests.daemon.requests.small_handler import HOSTILE, RunningServer, make_prompt
from tinysnitch.cli.main import tinysnitch
from tinysnitch.protocol.messages import ListEntry, ListState, RuleGroup


def offer(socket: Path, *args: str, word: str = "") -> list[CompletionItem[str]]:
    return ShellComplete(tinysnitch, AS_ALWAYS, "tinysnitch", "").get_completions(
        [*args, "--socket", str(socket)], word
    )


def test_open_questions_are_offered_with_what_they_ask(running: RunningServer, tmp_path: Path) -> None:
    running.handler.prompts = {3: make_prompt(3), 14: make_prompt(14, program=HOSTILE)}
    told = {item.value: item.help for item in offer(tmp_path / "socket", "answer")}
    assert told["3"] == "/usr/bin/curl tcp google.com:80"
    assert told.keys() == {"3", "14"}
    assert "\x1b" not in (told["14"] or "")
    assert [item.value for item in offer(tmp_path / "socket", "answer", word="1")] == ["14"]


def test_lists_and_groups(running: RunningServer, tmp_path: Path) -> None:
    running.handler.lists = [ListEntry(list="ads", path="/x", rules=0, state=ListState.LOADED, names=1_000_000)]
    running.handler.groups = (RuleGroup("work", "/x/work.rules.off", False),)
    (listed,) = offer(tmp_path / "socket", "lists", "update")
    assert (listed.value, listed.help) == ("ads", "1,000,000 names and networks")
    for command in ("enable", "disable"):
        assert [(item.value, item.help) for item in offer(tmp_path / "socket", "rules", command)] == [("work", "off")]


def test_programs_of_the_history_are_asked_for(running: RunningServer, tmp_path: Path) -> None:
    """The small daemon keeps no history."""
    assert offer(tmp_path / "socket", "history") == offer(tmp_path / "socket", "names", word="/") == []


def test_nothing_is_said_where_no_daemon_answers(tmp_path: Path) -> None:
    for words in (("answer",), ("lists", "update"), ("rules", "enable"), ("history",)):
        assert offer(tmp_path / "none", *words) == []
