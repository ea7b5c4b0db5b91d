"""programs.toml in the folder of settings: what it says of a program counts as soon as it is saved."""

from pathlib import Path

import pytest

from tests.lab.daemon import Daemon
from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import wait_until
from tinysnitch.client.control_client import ControlClient
from tinysnitch.protocol.messages import ListAsks, PromptShown

pytestmark = [pytest.mark.privileged, pytest.mark.slow]

FETCH = ["wget", "-q", "-O", "/dev/null", "http://four.test/"]


def save(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").rename(path)


def is_for_any_args(lab: Lab, daemon: Daemon) -> bool:
    """What is proposed for a question, which then is denied once."""
    running = lab.spawn(FETCH)
    ask = daemon.wait_ask(pid=running.pid)
    with ControlClient(str(daemon.socket)) as client:
        (shown,) = client.ask(ListAsks(), PromptShown)
    daemon.answer(ask, "no", "--for", "once")
    running.wait()
    return shown.prompt.proposal.any_args


def test_an_edit_counts_and_a_mistake_changes_nothing(lab: Lab) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    path = daemon.rules.parent / "config" / "programs.toml"
    assert is_for_any_args(lab, daemon)
    save(path, "runs_anything = ['wget']\n")
    wait_until(lambda: not is_for_any_args(lab, daemon))
    save(path, "# mine\nruns_anything = ['wget', '(']\n")
    told = daemon.wait_for(lambda record: record["event"] == "lost" and "programs.toml" in record["what"])
    assert told["what"].startswith(f"{path}:2: '(' is no regular expression")
    assert "(hint: " in told["what"]
    assert not is_for_any_args(lab, daemon)
    path.unlink()
    wait_until(lambda: is_for_any_args(lab, daemon))
