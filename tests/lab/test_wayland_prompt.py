"""The prompt window on a Wayland compositor, with a real daemon."""

import shutil

import pytest

from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import WAIT_S, pass_in_one_piece
from tests.qt.compositor import TOOLS, Compositor

missing = [tool for tool in TOOLS if not shutil.which(tool)]
pytestmark = [
    pytest.mark.privileged,
    pytest.mark.skipif(bool(missing), reason=f"no Wayland compositor to test with: {', '.join(missing)}"),
]
DELAY_S = 0.5


def test_the_window_comes_to_the_front_and_takes_keys(lab: Lab) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    with Compositor(lab.folder / "s") as desktop:
        desktop.attach_prompt(daemon, "--window", "full")
        other = desktop.start_prompt("--demo")  # stands for any program
        desktop.see("curl wants to reach www.example.com")
        desktop.fill_screen()
        curl = lab.spawn(["curl", "-4", "-sS", "http://shop.test/"])
        desktop.see("curl wants to reach shop.test")
        pass_in_one_piece(2 * DELAY_S + 2.0)  # nothing tells when it is painted: it was late once
        desktop.press("f", "d", "j", "y")
        assert curl.communicate(timeout=WAIT_S)[0] == "welcome to the shop\n"
        assert "allow *.shop.test 80 tcp /usr/bin/curl\n" in daemon.read_rules()
        desktop.see("curl wants to reach www.example.com")
        desktop.stop(other)
        desktop.see_nothing()


def test_a_dialog_comes_up_in_the_middle_and_takes_keys(lab: Lab) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    with Compositor(lab.folder / "s") as desktop:
        desktop.attach_prompt(daemon)
        curl = lab.spawn(["curl", "-4", "-sS", "http://shop.test/"])
        desktop.see("curl wants to reach shop.test")
        ((width, height),) = desktop.sizes()
        assert (width < 1000, height < 600) == (True, True)  # of a screen of 1280x720
        pass_in_one_piece(2 * DELAY_S + 2.0)
        desktop.press("n")
        assert "Failed to connect" in curl.communicate(timeout=WAIT_S)[0]
        desktop.see_nothing()
