import pytest
from msgspec.structs import replace

from tests.cli.running import Command
from tests.daemon.requests.small_handler import RunningServer, make_prompt
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.process import UNKNOWN
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice, Lifetime, RemoteScope

ALLOW, DENY = Verdict.ALLOW, Verdict.DENY


@pytest.mark.parametrize(
    ("words", "choice"),
    [
        ("yes", Choice(verdict=ALLOW)),
        ("no --for once", Choice(verdict=DENY, lifetime=Lifetime.ONCE)),
        ("yes --for forever --domain", Choice(verdict=ALLOW, lifetime=Lifetime.FOREVER, remote=RemoteScope.DOMAIN)),
        (
            "no --for quit --any-remote --any-port --any-args",
            Choice(verdict=DENY, lifetime=Lifetime.QUIT, remote=RemoteScope.ANY, any_port=True, any_args=True),
        ),
    ],
)
def test_the_choice_arrives(
    running: RunningServer, command: Command, monkeypatch: pytest.MonkeyPatch, words: str, choice: Choice
) -> None:
    given: list[object] = []
    answer = running.handler.answer

    def note(prompt_id: int, answered: Choice | str, by_uid: int, together: int) -> str:
        given.append(answered)
        return answer(prompt_id, answered, by_uid, together)

    monkeypatch.setattr(running.handler, "answer", note)
    assert command("answer", "3", *words.split()).code == 0
    assert given == [choice]


def test_it_is_said_when_the_rule_is_not_written(running: RunningServer, command: Command) -> None:
    once = command("answer", "3", "yes", "--for", "once")
    assert (once.code, once.out) == (0, "allow once\n")
    assert once.err == "tinysnitch: the answer is for this once: the rule is not kept\n"


def test_a_program_that_is_not_the_hosts_file_is_answered_for_once(running: RunningServer, command: Command) -> None:
    running.handler.prompts[4] = make_prompt(4, is_host_file=False)
    told = command("answer", "4", "yes").err
    assert told.startswith("tinysnitch: the answer is for this once, whatever --for says: ")


def test_it_is_said_when_the_rule_takes_any_arguments(running: RunningServer, command: Command) -> None:
    for words, is_told in [("", True), ("--any-args", False)]:
        running.handler.prompts[4] = make_prompt(4, are_args_complete=False)
        told = command("answer", "4", "yes", *words.split())
        assert ("the rule is for any arguments" in told.err) is is_told, told


def test_it_is_said_when_there_is_no_process_that_could_quit(running: RunningServer, command: Command) -> None:
    prompt = make_prompt(4)
    said_of_quit = "tinysnitch: the rule holds for 9 minutes: no process is known whose end could end it\n"
    for lifetime, said in [("quit", said_of_quit), ("24h", "")]:
        running.handler.prompts[4] = replace(prompt, connection=replace(prompt.connection, attribution=UNKNOWN))
        told = command("answer", "4", "yes", "--for", lifetime)
        assert (told.code, told.err) == (0, said)


def test_the_rule_is_printed_and_of_other_questions_nothing_is_said(running: RunningServer, command: Command) -> None:
    running.handler.prompts |= {4: make_prompt(4), 5: make_prompt(5, is_host_file=False)}
    assert command("answer", "3", "yes", "--for", "24h") == (0, "allow 24h\n", "")
    assert command("answer", "4", "yes", "--for", "quit") == (0, "allow quit\n", "")


def test_a_rule_that_is_not_saved_is_a_failure(
    running: RunningServer, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(*_words: object) -> str:
        running.clients.push_unsaved(SnitchError("/r: the file is gone", "write it again"))
        return "deny - - -"

    monkeypatch.setattr(running.handler, "answer", answer)
    told = command("answer", "3", "no", "--for", "forever")
    assert (told.code, told.out) == (1, "deny - - -\n")
    problem = "the rule holds but could not be saved: /r: the file is gone"
    assert told.err == f"tinysnitch: error: {problem}\ntinysnitch: hint: write it again\n"


def test_an_id_is_a_number(running: RunningServer, command: Command) -> None:
    told = command("answer", "x", "yes")
    assert (told.code, told.err.splitlines()[0]) == (
        2,
        "tinysnitch: error: invalid value for 'ID': 'x' is not a number",
    )


def test_a_question_that_is_gone(running: RunningServer, command: Command) -> None:
    assert command("answer", "9", "yes") == (1, "", "tinysnitch: error: question 9 is not open\n")


@pytest.mark.parametrize(
    ("words", "lifetime"),
    [
        ("--for forever", Lifetime.QUIT),
        ("--for forever --args", Lifetime.FOREVER),
        ("--for forever --any-args", Lifetime.FOREVER),
        ("--for 24h", Lifetime.DAY),
    ],
)
def test_a_secret_is_written_forever_only_on_purpose(
    running: RunningServer, command: Command, words: str, lifetime: Lifetime
) -> None:
    running.handler.prompts[4] = make_prompt(4, args=("--token", "0mWk3Zq8TxLr5Vb1Nc7H"))
    told = command("answer", "4", "yes", *words.split())
    assert (told.code, told.out) == (0, f"allow {lifetime.value}\n")
    assert ("until the program ends" in told.err) is (lifetime is Lifetime.QUIT)


def test_arguments_are_these_or_any(command: Command, running: RunningServer) -> None:
    assert command("answer", "3", "yes", "--args", "--any-args").code == 2


def test_that_the_rule_holds_a_secret_is_said(
    running: RunningServer, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = "allow shop.test 443 tcp /usr/bin/curl --token 0mWk3Zq8TxLr5Vb1Nc7H"
    monkeypatch.setattr(running.handler, "answer", lambda *_given: rule)
    told = command("answer", "3", "yes", "--for", "forever")
    assert (told.code, told.out) == (0, f"{rule}\n")
    assert told.err.endswith("holds what looks like a secret: allow shop.test 443 tcp /usr/bin/curl --token '0mWk…'\n")
    assert "secret" not in command("answer", "3", "yes", "--for", "once").err
