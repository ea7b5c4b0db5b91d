"""A token among the arguments of a program: in no file that others may read, and in no rule that is proposed."""

import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.lab.daemon import BIN, Daemon
from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import WAIT_S, read_until
from tests.lab.world import PAGE_NAMES
from tinysnitch.client.control_client import ControlClient
from tinysnitch.core.prompts.choice import Choice, Lifetime
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.core.rules.quoting import quote_word
from tinysnitch.protocol.messages import GiveAnswer, ListAsks, PromptShown, RuleWritten

pytestmark = [pytest.mark.privileged]

NAMES = iter(PAGE_NAMES)  # one for each question, so that the rule of an earlier answer does not answer it
CODE = "import urllib.request as r; print(r.urlopen(r.Request('http://{}/', headers={{'X-Api-Key': '{}'}})).read())"


def curl(host: str, token: str) -> list[str]:
    return ["/usr/bin/curl", "-sS", "-H", f"Authorization: Bearer {token}", f"http://{host}/"]


def one_liner(host: str, token: str) -> list[str]:
    return ["/usr/bin/python3", "-c", CODE.format(host, token)]


def as_proposed(prompt: Prompt, _line: str) -> Choice:
    return prompt.proposal


def for_a_day(prompt: Prompt, _line: str) -> Choice:
    return replace(prompt.proposal, lifetime=Lifetime.DAY)


def for_ever(prompt: Prompt, _line: str) -> Choice:
    return replace(prompt.proposal, lifetime=Lifetime.FOREVER)


def with_arguments_for_a_day(prompt: Prompt, _line: str) -> Choice:
    return replace(prompt.proposal, lifetime=Lifetime.DAY, any_args=False)


def with_arguments_for_ever(prompt: Prompt, _line: str) -> Choice:
    return replace(prompt.proposal, lifetime=Lifetime.FOREVER, any_args=False)


def by_hand(_prompt: Prompt, line: str) -> str:
    return line


Answer = Callable[[Prompt, str], Choice | str]
ANSWERS = (as_proposed, for_a_day, for_ever, with_arguments_for_a_day, with_arguments_for_ever, by_hand)


@pytest.mark.parametrize("program", [curl, one_liner])
def test_whatever_is_answered_a_token_is_in_no_file_that_others_may_read(
    lab: Lab, program: Callable[[str, str], list[str]]
) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    tokens = {answer: secrets.token_urlsafe(24) + "7aB" for answer in ANSWERS}
    rules = {answer: ask_and_answer(lab, daemon, program, token, answer) for answer, token in tokens.items()}
    assert tokens[as_proposed] not in rules[as_proposed]
    assert tokens[by_hand] in rules[by_hand]
    assert daemon.stop() == 0
    for answer, token in tokens.items():
        found = {path.name: path.stat().st_mode & 0o777 for path in files_with(token, lab.folder, Path("/etc"))}
        assert "history.sqlite" in found, answer
        assert not any(mode & 0o077 for mode in found.values()), found
        if answer in (with_arguments_for_ever, by_hand):
            assert "rules" in found, answer
        if answer is as_proposed:
            assert set(found) == {"history.sqlite"}


def test_an_answer_as_proposed_is_for_one_start_of_a_one_liner_and_no_other(lab: Lab) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    host, token = next(NAMES), secrets.token_hex(16)
    rule = ask_and_answer(lab, daemon, one_liner, token, as_proposed, host)
    assert rule.startswith(f"allow {host} 80 tcp /usr/bin/python3")
    assert "-c" not in rule
    for other in (
        one_liner(host, token),
        ["/usr/bin/python3", "-c", f"import urllib.request as r; r.urlopen('http://{host}/')"],
    ):
        asked = len(daemon.records("ask"))
        client = lab.spawn(other)
        ask = daemon.wait_for_count(lambda record: record["event"] == "ask", asked + 1)[-1]
        daemon.answer(ask, "no", "--for", "once")
        client.communicate(timeout=WAIT_S)


def test_files_that_others_could_read_are_closed_at_the_next_start_and_that_is_told(lab: Lab) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    token = secrets.token_hex(16)
    ask_and_answer(lab, daemon, curl, token, with_arguments_for_a_day)
    assert daemon.stop() == 0
    folder = daemon.rules.parent
    opened = [daemon.rules, *(path for path in (folder / "state").iterdir() if path.is_file())]
    for path in opened:
        path.chmod(0o644)
    again = lab.restart_daemon(folder)
    said = (folder / "stderr").read_text()
    assert f"others could read {daemon.rules}, and secrets" in said
    assert "now only root can: " in said
    assert all(path.name in said for path in opened)
    assert {path.name: path.stat().st_mode & 0o777 for path in opened if path.exists()} == {
        path.name: 0o600 for path in opened if path.exists()
    }
    assert again.stop() == 0


def test_the_text_log_which_others_may_read_in_the_journal_has_no_token(lab: Lab) -> None:
    token, host = secrets.token_hex(16), next(NAMES)
    (lab.folder / "rules").write_text(DNS_RULE)
    (lab.folder / "rules").chmod(0o600)
    places = ["--rules", str(lab.folder / "rules"), "--state-dir", str(lab.folder / "state")]
    flags = [*places, "--socket", str(lab.folder / "s"), "--cgroup", str(lab.cgroup), "--timeout", "0"]
    daemon = lab.spawn_outside([str(BIN / "tinysnitchd"), *flags])
    read_until(daemon, lambda said: "rules 1 loaded" in said[-1])
    lab.run(curl(host, token))
    said = read_until(daemon, lambda said: f"{host}:80" in said[-1])
    assert f"/usr/bin/curl -sS -H 'Authorization: Bearer {token[:4]}…' http://{host}/" in said[-1]
    assert token not in "".join(said)
    daemon.terminate()
    assert token not in daemon.communicate(timeout=WAIT_S)[0]


def ask_and_answer(
    lab: Lab,
    daemon: Daemon,
    program: Callable[[str, str], list[str]],
    token: str,
    answer: Answer,
    host: str | None = None,
) -> str:
    """Have the program ask, answer it, and let it come through; the rule that the answer made."""
    host = host or next(NAMES)
    command = program(host, token)
    client = lab.spawn(command)
    daemon.wait_ask(name=host)
    with ControlClient(str(daemon.socket)) as control:
        (shown,) = control.ask(ListAsks(), PromptShown)
        given = answer(shown.prompt, f"allow {host} 80 tcp {as_rule(command)}")
        choice, line = (None, given) if isinstance(given, str) else (given, None)
        written = control.ask_one(GiveAnswer(shown.prompt.prompt_id, choice, line), RuleWritten)
    assert "welcome to the shop" in client.communicate(timeout=WAIT_S)[0]
    return written.rule


def as_rule(command: list[str]) -> str:
    return " ".join(map(quote_word, command))


def files_with(text: str, *folders: Path) -> Iterator[Path]:
    """The files below these folders that hold the text."""
    found = subprocess.run(
        ["grep", "-rlaF", "--devices=skip", "-e", text, *map(str, folders)], capture_output=True, text=True, check=False
    )
    yield from map(Path, found.stdout.splitlines())
