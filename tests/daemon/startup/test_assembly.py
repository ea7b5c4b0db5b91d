"""The assembled parts of the daemon. tests/lab tests the whole with real connections."""

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.daemon.loop.driver_place import fail_with_emfile, until
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S
from tests.lab.world import WORLD4
from tinysnitch.core.engine.events import DataLost
from tinysnitch.daemon.logs import log_output
from tinysnitch.daemon.logs.log_output import LogOutput
from tinysnitch.daemon.options import Options
from tinysnitch.daemon.rules import lists as list_loader
from tinysnitch.daemon.startup.assembly import Assembly, close_log, make_source, read_extra_interpreters


@pytest.mark.parametrize(
    ("value", "names"), [("", ()), ("a", ("a",)), ("a /b/c", ("a", "/b/c")), (" a,,b ", ("a", "b"))]
)
def test_further_interpreters(value: str, names: tuple[str, ...]) -> None:
    assert read_extra_interpreters({"TINYSNITCH_TRIMS": value}) == names
    assert read_extra_interpreters({}) == ()


@pytest.mark.privileged
def test_a_further_interpreter_is_named_by_its_script(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter is curl: it takes the file for one more address, and goes on."""
    monkeypatch.setenv("TINYSNITCH_TRIMS", "curl")
    script = lab.folder / "script"
    script.touch()
    daemon = lab.start_daemon("", timeout_s=0)
    lab.run(["curl", str(script), f"http://{WORLD4}/"])
    assert daemon.wait_connection()["program"] == str(script)


def test_what_nobody_takes_of_the_end_of_the_log_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(log_output, "CLOSE_S", 0.0)
    reader, writer = os.pipe()
    for size in (1, 1 << 20):  # bytes; the pipe takes 64 KiB
        log = LogOutput(writer)
        log.write(bytes(size))
        log.write(b"the end")
        close_log(log)
    assert caplog.messages == ["2 lines at the end of the log were lost: nobody took them from standard output"]
    os.close(reader)
    os.close(writer)


def test_a_list_that_could_not_be_read_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_loader, "AGAIN_S", 0.0)
    told: list[None] = []

    async def run() -> None:
        async with AsyncExitStack() as undo:
            options = Options(lists=tmp_path / "lists", state_dir=tmp_path / "state")
            lists = make_source(options, undo, lambda: told.append(None)).lists
            monkeypatch.setattr(lists, "_find_names", fail_with_emfile)
            lists.refresh()
            await until(lambda: told)

    asyncio.run(run())


def test_what_becomes_of_the_netfilter_rules_is_told_to_prompts_too() -> None:
    told: list[object] = []
    parts: dict[str, object] = dict.fromkeys(Assembly.__slots__)
    parts["driver"] = SimpleNamespace(feed=told.append)
    parts["clients"] = SimpleNamespace(push_notice=lambda *words: told.append(words))
    Assembly(**parts).tell_of_netfilter("put back", "look")  # type: ignore[arg-type]
    assert told == [DataLost("put back", 1), ("put back", "look")]


@pytest.mark.privileged
def test_a_rules_file_that_cannot_be_read_asks_about_everything_and_says_why(lab: Lab) -> None:
    daemon = lab.start_daemon("", "--rules", "/proc/self/mem")  # is there, and fails when it is read
    (told,) = daemon.records("rules")
    assert "Input/output error" in str(told["errors"])
    assert daemon.stop() == 0


@pytest.mark.privileged
def test_an_answer_that_could_not_be_written_is_written_at_the_end(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    folder = str(daemon.rules.parent)
    assert lab.run_outside(["mount", "--bind", "-o", "ro", folder, folder]).returncode == 0
    client = lab.spawn(["curl", "-sS", f"http://{WORLD4}/"])
    answered = daemon.cli("answer", str(daemon.wait_ask()["id"]), "yes", "--for", "forever")
    assert "the rule holds but could not be saved" in answered.stderr
    client.wait(WAIT_S)
    assert lab.run_outside(["umount", folder]).returncode == 0
    assert daemon.stop() == 0
    assert daemon.read_rules().startswith("allow ")


@pytest.mark.privileged
def test_what_learns_does_not_start_without_its_rules(lab: Lab) -> None:
    """It would allow what the rules in the broken file deny."""
    rules = lab.folder / "broken"
    rules.write_text("deny shop.test - -\nbogus\n")
    command = [str(Path(sys.executable).parent / "tinysnitchd"), "--learn", "--rules", str(rules)]
    command += ["--socket", str(lab.folder / "socket")]  # the usual one may be another daemon's
    ended = lab.run_outside([*command, "--cgroup", str(lab.cgroup), "--state-dir", str(lab.folder / "state")])
    assert ended.returncode == 1
    assert f"tinysnitch: error: the rules file does not load: {rules}:2:1: " in ended.stderr
    assert "TINYSNITCH" not in lab.run_outside(["iptables-save"]).stdout
