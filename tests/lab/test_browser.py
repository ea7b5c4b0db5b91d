"""Chromium opens a page with resources from 40 names: how many keys a person has to press for it."""

import shutil
from pathlib import Path

import pytest

from tests.lab.daemon import BIN, Daemon
from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import WAIT_S
from tests.lab.person import Person
from tests.lab.stubs import start_stub
from tests.lab.test_page import press_until_loaded
from tests.lab.world import PAGE_NAMES, SHARED4, WORLD6

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.privileged,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
PAGE = f"http://{PAGE_NAMES[0]}/page.html"
PAGES = {  # names and their addresses: a CNAME of a CNAME, one with IPv6 only, two with one address
    "far.test": None,
    "six.test": WORLD6,
    "first.shared.test": SHARED4,
    "second.shared.test": SHARED4,
}
LOADED = "all is here"
# Names that the browser asks for by itself. They have an address, so that it connects and is asked about.
BACKGROUND = "10.77.0.1 accounts.google.com optimizationguide-pa.googleapis.com\n"


def lay_out_page(lab: Lab) -> None:
    """Write a page that changes its title once it has a picture from each name."""
    site = lab.folder / "world" / "www"
    pictures = "".join(f'<img src="http://{name}/dot.svg">' for name in PAGE_NAMES)
    done = f"onload=\"document.title = '{LOADED}'\""
    (site / "page.html").write_text(f"<html><body {done}>{pictures}</body></html>")
    (site / "dot.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>')
    hosts = lab.folder / "hosts"
    hosts.write_text(hosts.read_text() + BACKGROUND)


def browse(profile: Path) -> list[str]:
    """The front of a command line that prints a page once it has loaded."""
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    return [*command, "--timeout=60000", "--dump-dom"]


def open_page(lab: Lab, daemon: Daemon, profile: Path, keys: str) -> tuple[str, int]:
    """Open the page, with a person at the prompt; the page as it was loaded, and the number of keys pressed."""
    person = Person([str(BIN / "tinysnitch"), "prompt", "--socket", str(daemon.socket), "--plain"])
    try:
        browser = lab.spawn([*browse(profile), PAGE])
        pressed = press_until_loaded(person, keys, browser)
        return browser.communicate(timeout=WAIT_S)[0], pressed
    finally:
        person.close()


def names_asked(daemon: Daemon) -> list[str]:
    return [ask["name"] for ask in daemon.records("ask")]


@pytest.mark.parametrize(("way", "keys", "most"), [("all together", "gy", 12), ("any remote, forever", "fddy", 12)])
def test_a_page_is_a_handful_of_keys_and_none_after_a_restart(
    lab: Lab, way: str, keys: str, most: int, tmp_path: Path
) -> None:
    """The browser's helper process, which connects, has other arguments at each start."""
    lay_out_page(lab)
    daemon = lab.start_daemon(DNS_RULE)
    page, pressed = open_page(lab, daemon, tmp_path / "profile", keys)
    asked = names_asked(daemon)
    background = [name for name in asked if name not in PAGE_NAMES]
    told = f"{len(PAGE_NAMES)} names and {len(background)} of its own, {way}: {pressed} keys"
    print(f"{told} instead of {len(PAGE_NAMES) + len(background)}")  # noqa: T201  (the number is of interest)
    assert LOADED in page
    assert pressed <= most
    again, _pressed = open_page(lab, daemon, tmp_path / "profile", keys)
    assert LOADED in again
    assert [name for name in names_asked(daemon)[len(asked) :] if name in PAGE_NAMES] == []


def test_each_page_is_logged_with_the_name_that_was_asked(lab: Lab, tmp_path: Path) -> None:
    """Names are asked for by a stub resolver on this machine, as on most."""
    start_stub(lab, "systemd-resolved")
    hosts = lab.folder / "hosts"
    hosts.write_text(hosts.read_text() + BACKGROUND)
    route = ["ip", "-6", "route", "add", "default", "via", WORLD6]  # without a route it asks for no IPv6 address
    assert lab.run_outside(route).returncode == 0
    by_name = "".join(f"allow {name} 80 tcp\n" for name in PAGES)  # so that each name is decided and logged
    daemon = lab.start_daemon(f"allow localhost - -\nallow localhost - -src\nallow lan 53 -\n{by_name}deny - - -\n")
    for name, address in PAGES.items():
        page = lab.run([*browse(tmp_path / "profile"), f"http://{name}/"])
        assert "welcome to the shop" in page.stdout, f"{page.stderr}\n{daemon.describe()}"
        logged = daemon.wait_connection(name=name, remote_port=80)
        assert (logged["verdict"], "chrom" in Path(logged["program"]).name) == ("allow", True)
        assert address in (None, logged["remote_address"])
