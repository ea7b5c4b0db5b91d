import json

import pytest

from tests.cli.running import Command
from tests.daemon.requests.small_handler import RunningServer
from tests.view.live.sample_traffic import SAMPLES
from tinysnitch.cli.screens import top
from tinysnitch.protocol.messages import TrafficTold
from tinysnitch.tui.pages import pages_app
from tinysnitch.view.pages.tabs import PageName


def test_its_options_are_those_of_lists_and_once() -> None:
    assert {name for option in top.top_command.params for name in option.opts} == {"--once", "--socket", "--json"}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top, "ONCE_S", 0.5)


def test_once_prints_what_was_seen_as_lines(running: RunningServer, command: Command) -> None:
    running.handler.traffic = [*SAMPLES, TrafficTold(1_700_000_001.0)]
    code, out, err = command("top", "--once")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0].split()[:5] == ["in/s", "out/s", "in", "out", "conn"]
    assert any(line.endswith("4  both     firefox") for line in lines)
    assert any(line.endswith("→ 192.0.2.7:443 tcp  # deny *.ads.test - -") for line in lines)


def test_once_says_that_nobody_talked(running: RunningServer, command: Command) -> None:
    code, out, err = command("top", "--once")
    assert (code, out) == (0, "")
    assert "nobody talked" in err


def test_json_streams_an_object_for_each_row(running: RunningServer, command: Command) -> None:
    running.handler.traffic = [SAMPLES[0], TrafficTold(1_700_000_001.0)]
    code, out, _err = command("top", "--json", "--once")
    told = json.loads(out)
    assert code == 0
    assert (told["program"], told["name"], told["bytes_in"]) == (SAMPLES[0].program, "cdn.shop.test", 6_000_000)
    assert told["first"] == "2023-11-14T22:13:20.000Z"


def test_without_flags_the_live_page_opens(
    running: RunningServer, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[str, PageName]] = []

    def run_pages(path: str, first: PageName) -> int:
        opened.append((path, first))
        return 5

    monkeypatch.setattr(pages_app, "run_pages", run_pages)
    assert command("top").code == 5
    assert opened == [(str(running.path), PageName.LIVE)]
