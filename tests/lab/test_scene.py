"""A scene with real clients is in the history as their servers counted it: who, with whom, what it carried."""

import json
import subprocess
from operator import add
from pathlib import Path

import pytest

from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import read_rest, read_until, wait_listening
from tests.lab.test_browser import BACKGROUND, CHROMIUM, LOADED, browse
from tests.lab.test_names import CURL, GIT
from tests.lab.world import HOST4, MORE_WORLD4, PAGE_NAMES, PROGRAMS, WORLD4

pytestmark = [pytest.mark.privileged]

PYTHON = "/usr/bin/python3"
PORT = "7300"
SERVER, PLAYER = str(PROGRAMS / "counting_server.py"), str(PROGRAMS / "player.py")
RULES = f"allow - 53 -\nallow - 80,443,{PORT} -\nallow - {PORT} tcp-src\n"
PAGE = dict(zip(MORE_WORLD4[:20], PAGE_NAMES[:20], strict=True))
STREAM4, STREAM = MORE_WORLD4[20], PAGE_NAMES[20]
REMOTES = PAGE | {STREAM4: STREAM, WORLD4: "four.test"}
Sums = dict[str, list[int]]  # of each name: connections, bytes to the server, bytes from it


def serve(started: subprocess.Popen[str]) -> subprocess.Popen[str]:
    wait_listening(started)
    return started


def serve_world(lab: Lab) -> subprocess.Popen[str]:
    return serve(lab.spawn_world([PYTHON, SERVER, str(site(lab)), STREAM4, PORT]))


def site(lab: Lab) -> Path:
    return lab.folder / "world" / "www"


def read_history(daemon: Daemon, program: str, *, is_server: bool = False) -> Sums:
    told = daemon.cli("history", program, "--by", "name", "--port", PORT, "--json")
    lines = list(map(json.loads, told.stdout.splitlines()))
    assert all(line["inbound"] == (line["connections"] if is_server else 0) for line in lines), lines
    to_server, from_server = ("received", "sent") if is_server else ("sent", "received")
    return {line["name"]: [line["connections"], line[to_server], line[from_server]] for line in lines}


def check(server: subprocess.Popen[str], told: Sums, names: dict[str, str]) -> None:
    """Assert that the history has what the server counted: the connections of each remote exactly, its bytes nearly."""
    said = read_until(server, lambda lines: len(lines) >= sum(connections for connections, *_bytes in told.values()))
    server.kill()
    counted: Sums = {}
    for line in said + read_rest(server).splitlines():
        address, *carried = json.loads(line)
        sums = counted.setdefault(names[address], [0, 0, 0])
        sums[:] = map(add, sums, [1, *carried])
    assert told.keys() == counted.keys()
    for name, (connections, *carried) in counted.items():
        assert told[name] == [connections, *(pytest.approx(count, rel=0.01) for count in carried)], (told, counted)


def lay_out_repository(lab: Lab) -> None:
    make = """
    git init -q "$0.work"; cd "$0.work"; head -c 300000 /dev/urandom >noise; git add noise
    git -c user.name=a -c user.email=a@b.test commit -q -m x; git clone -q --bare . "$0"; git -C "$0" update-server-info
    """
    assert lab.run_outside(["sh", "-ec", make, str(site(lab) / "x.git")]).returncode == 0


def test_clients_and_a_visitor_are_counted_as_their_servers_count(lab: Lab) -> None:
    lay_out_repository(lab)
    world = serve_world(lab)
    host = serve(lab.spawn([PYTHON, SERVER, str(site(lab)), HOST4, PORT]))
    daemon = lab.start_daemon(RULES, timeout_s=0)
    pages = [f"http://{name}:{PORT}/large" for name in list(PAGE.values())[:3]]
    assert lab.run([CURL, "-sS", "-4", *pages, "-o", "/dev/null", "-o", "/dev/null", "-o", "/dev/null"]).returncode == 0
    assert lab.run(["git", "clone", "-q", f"http://four.test:{PORT}/x.git", str(lab.folder / "x")]).returncode == 0
    assert lab.run([PYTHON, PLAYER, STREAM, PORT]).returncode == 0
    for _again in range(2):
        assert lab.run_world([CURL, "-sS", f"http://{HOST4}:{PORT}/large", "-o", "/dev/null"]).returncode == 0
    told = daemon.cli("history", "--by", "program", "--port", PORT, "--json").stdout.splitlines()
    assert {json.loads(line)["program"] for line in told} == {CURL, GIT, PLAYER, SERVER}
    by_client = [read_history(daemon, program) for program in (CURL, GIT, PLAYER)]
    assert [len(told) for told in by_client] == [3, 1, 1]
    check(world, {name: sums for told in by_client for name, sums in told.items()}, REMOTES)
    check(host, read_history(daemon, SERVER, is_server=True), {HOST4: REMOTES[WORLD4]})


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_page_of_twenty_names_is_counted_as_its_servers_count(lab: Lab, tmp_path: Path) -> None:
    pictures = "".join(f'<img src="http://{name}:{PORT}/noise-{name}.svg">' for name in PAGE.values())
    page = f"<html><body onload=\"document.title = '{LOADED}'\">{pictures}</body></html>"
    (site(lab) / "page.html").write_text(page)
    for count, name in enumerate(PAGE.values(), start=1):
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"><!--{"x" * count * 5000}--></svg>'
        (site(lab) / f"noise-{name}.svg").write_text(svg)
    hosts = lab.folder / "hosts"
    hosts.write_text(hosts.read_text() + BACKGROUND)
    world = serve_world(lab)
    daemon = lab.start_daemon(RULES, timeout_s=0)
    loaded = lab.run([*browse(tmp_path / "profile"), f"http://{PAGE_NAMES[0]}:{PORT}/page.html"])
    assert LOADED in loaded.stdout, loaded.stderr
    told = read_history(daemon, "chromium")
    assert len(told) == len(PAGE)
    check(world, told, PAGE)
