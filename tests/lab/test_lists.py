"""Lists in use: fetched through the firewall, reloaded when they change, and in force at once after a restart."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.fetch.https_server import make_certificates
from tests.lab.daemon import BIN, Daemon
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, wait_until
from tests.lab.world import MORE_WORLD4, PROGRAMS
from tinysnitch.daemon.rules.lists import SHORT_BYTES

pytestmark = [pytest.mark.privileged]

PORT = 8443
RULES = "allow @resolvers 53 udp\nallow - - -\ndeny @ads - -\nallow n5.page.test - -\n"
SOURCE = f"https://shop.test:{PORT}/ads"


def start(lab: Lab, text: str) -> tuple[Daemon, Path]:
    """Start a daemon whose rules deny the list `ads`; the daemon, and the list's file."""
    folder = lab.folder / "lists"
    folder.mkdir()
    (folder / "ads").write_text(text)
    return lab.start_daemon(RULES, "--lists", str(folder)), folder / "ads"


def read_entry(lab: Lab, daemon: Daemon) -> dict[str, object]:
    done = lab.run_outside([str(BIN / "tinysnitch"), "lists", "--json", "--socket", str(daemon.socket)])
    (entry,) = map(json.loads, done.stdout.splitlines())
    return dict(entry)


def wait_names(lab: Lab, daemon: Daemon, names: int) -> dict[str, object]:
    """Wait until the daemon holds so many names of the list; the list's entry in `tinysnitch lists`."""
    wait_until(lambda: read_entry(lab, daemon)["names"] == names, f"not {names} names")
    return read_entry(lab, daemon)


def reaches(lab: Lab, name: str) -> bool:
    return lab.run(["curl", "-4sS", "--max-time", str(WAIT_S / 2), f"http://{name}/"]).returncode == 0


def test_a_list_is_fetched_through_the_firewall_and_holds_at_once(lab: Lab) -> None:
    site = lab.folder / "site"
    site.mkdir()
    (site / "ads").write_text("0.0.0.0 shared.test\n0.0.0.0 six.test\n||page.test^\n? ?\n")
    ca = make_certificates(site, "shop.test")
    server = [sys.executable, str(PROGRAMS / "https_files.py"), str(PORT), str(site)]
    world = lab.namespaces.enter_world()
    lab.namespaces.start_server([*world, *server, str(site / "server.pem"), str(site / "server.key")], "listening")
    daemon, ads = start(lab, f"# source: {SOURCE}\n")
    update = [str(BIN / "tinysnitch"), "lists", "update", "--folder", str(ads.parent)]

    done = lab.run(["env", "SSL_CERT_FILE=/dev/null", *update])
    assert (done.returncode, "certificate is not accepted" in done.stderr) == (1, True), done.stderr
    assert ads.read_text() == f"# source: {SOURCE}\n"
    assert reaches(lab, "n0.page.test")

    done = lab.run(["env", f"SSL_CERT_FILE={ca}", *update])
    assert (done.returncode, done.stdout) == (0, "ads: 3 names, 0 addresses and networks\n"), done.stderr
    fetched = daemon.wait_connection(remote_port=PORT, name="shop.test")
    assert fetched["program"] == os.path.realpath(BIN / "tinysnitch")
    entry = wait_names(lab, daemon, 3)
    assert (entry["source"], entry["bad_lines"], entry["state"]) == (SOURCE, 1, "loaded")
    assert not reaches(lab, "n0.page.test")
    denied = daemon.wait_connection(verdict="deny", name="n0.page.test")
    assert (denied["rule"], denied["remote_address"]) == ("deny @ads - -", MORE_WORLD4[0])
    assert not reaches(lab, "first.shared.test")
    assert reaches(lab, "shop.test")


def test_a_rule_for_one_name_is_narrower_than_a_list(lab: Lab) -> None:
    daemon, _ads = start(lab, "page.test\n")
    assert not reaches(lab, "n0.page.test")
    assert reaches(lab, "n5.page.test")
    words = ["explain", "/usr/bin/curl", "n5.page.test", "80", "tcp", "--socket", str(daemon.socket)]
    told = lab.run_outside([str(BIN / "tinysnitch"), *words]).stdout
    assert told.startswith("allow: allowed by a rule\n  allow n5.page.test - -  # 3\n")
    assert "beats  deny @ads - -  # 2\n       a narrower one matches too: allow n5.page.test - -\n" in told


def test_a_long_list_holds_from_the_start_and_after_a_restart(lab: Lab) -> None:
    long = "".join(f"0.0.0.0 a{number}.example\n" for number in range(SHORT_BYTES // 20))
    daemon, ads = start(lab, long + "n0.page.test\n")
    assert not reaches(lab, "n0.page.test")
    names = read_entry(lab, daemon)["names"]
    assert isinstance(names, int)
    ads.write_text(long + "first.shared.test\nn0.page.test\n")
    wait_names(lab, daemon, names + 1)
    assert not reaches(lab, "first.shared.test")
    compiled = daemon.rules.parent / "state" / "lists" / "ads"
    before = compiled.stat()
    daemon.stop()
    lab.restart_daemon(daemon.rules.parent, "--lists", str(ads.parent))
    assert not reaches(lab, "first.shared.test")
    assert compiled.stat().st_ino == before.st_ino
