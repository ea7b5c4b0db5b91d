"""What a process can say about itself is not believed: its arguments, its name, even /proc/PID/exe."""

import platform
from pathlib import Path

import pytest

from tests.evasion.stage import ELSEWHERE, PORT, PYTHON, TARGET, Stage
from tests.lab.daemon import Record
from tests.lab.world import WORLD4

pytestmark = [pytest.mark.privileged, pytest.mark.core_lab]


def test_the_honest_program_is_allowed(stage: Stage) -> None:
    """Also when the attacker runs it; and the attacker's copy is not. Otherwise denied attacks would prove nothing."""
    assert stage.run(stage.honest, "plain", *TARGET)["verdict"] == "allow"
    assert stage.run(stage.attack, "plain", *TARGET)["verdict"] == "deny"


def test_a_forged_first_argument(stage: Stage) -> None:
    script = 'exec -a "$0" "$@"'
    record = stage.assert_denied("/usr/bin/bash", "-c", script, stage.honest, stage.attack, "plain", *TARGET)
    assert record["program"] == str(stage.attack)


def test_started_as_is_told_of_links_that_root_made_alone(stage: Stage) -> None:
    """`started_as` is the path that the kernel executed; the first argument alone proves nothing, but has to agree."""
    by_root, own = stage.honest.parent / "by-root", stage.folder / "own"
    for link in (by_root, own):
        link.symlink_to(stage.honest)

    def run(*command: str | Path) -> Record:
        stage.forget_verdicts()
        return stage.run(*command, "plain", *TARGET)

    script = 'exec -a "$0" "$@"'
    command = ["/usr/bin/bash", "-c", script]
    assert run(by_root)["started_as"] == str(by_root)
    assert run(*command, "by-root", by_root)["started_as"] == str(by_root)
    forged = [(own, own), (by_root, stage.honest), (own, by_root), (stage.honest, by_root), ("/usr/bin/x", by_root)]
    for first, file in forged:
        record = run(*command, first, file)
        assert (record["program"], "started_as" in record) == (str(stage.honest), False), (first, file)


def test_arguments_and_name_rewritten_after_the_start(stage: Stage) -> None:
    record = stage.assert_denied(stage.attack, "arguments", *TARGET, stage.honest)
    assert record["program"] == str(stage.attack)
    assert record["args"] == ["arguments", *TARGET, str(stage.honest)]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the attack is written for x86-64")
def test_the_executable_replaced_in_a_user_namespace(stage: Stage) -> None:
    """prctl(2), PR_SET_MM_MAP: /proc/PID/exe then leads to the honest program."""
    record = stage.assert_denied("unshare", "-Ur", stage.attack, "executable", *TARGET, stage.honest)
    assert record["program"] == str(stage.attack)


@pytest.mark.parametrize("round_", range(5))
def test_threads_that_connect_while_another_program_takes_over(stage: Stage, round_: int) -> None:
    """The attacker's threads connect ELSEWHERE until the exec; only the honest program connects to WORLD4."""
    done = stage.lab.run([str(stage.attack), "race", ELSEWHERE, PORT, str(stage.honest), WORLD4], user="nobody")
    assert done.stdout == "connected\n"
    stage.settle()
    racing = [record for record in stage.decisions() if record["remote_address"] == ELSEWHERE]
    assert racing
    assert {(record["verdict"], record["program"]) for record in racing} == {("deny", str(stage.attack))}


def test_arguments_that_are_too_long_to_capture_get_past_no_denial(stage: Stage) -> None:
    before, words = stage.daemon.read_rules(), ("x" * 3000, *TARGET)
    stage.daemon.edit_rules(f"{before}deny - - - {stage.script} {' '.join(words)}\n")
    try:
        stage.assert_denied(PYTHON, stage.script, *words)
        assert stage.run(PYTHON, stage.script, "y" * 3000, *TARGET)["verdict"] == "allow"
        assert stage.run(PYTHON, stage.script, *TARGET)["verdict"] == "allow"
    finally:
        stage.daemon.edit_rules(before)
