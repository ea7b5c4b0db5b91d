"""A page that opens 60 connections to 40 names at once: how many keys a person has to press for it."""

import json
import subprocess
import time

import pytest

from tests.lab.daemon import BIN
from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import WAIT_S
from tests.lab.person import Person
from tests.lab.world import PAGE_NAMES, PROGRAMS
from tinysnitch.view.key_guard import DELAY_S, HELD_FIRST_S

pytestmark = [pytest.mark.privileged, pytest.mark.slow]

CONNECTIONS = 60
RESOURCES = [f"{name}:80" for name in (PAGE_NAMES * 2)[:CONNECTIONS]]


def press_until_loaded(person: Person, keys: str, client: subprocess.Popen[str]) -> int:
    """Type the same keys at every question until the page is there; how many keys that took. Where other answers have
    widened what is proposed, no `d` is needed.
    """
    pressed = 0
    while client.poll() is None:
        try:
            person.see("keys: ", timeout_s=1)
        except TimeoutError:
            continue
        offered = person.read_line()
        time.sleep(HELD_FIRST_S - DELAY_S)  # before this the prompt takes y for the last key, still held down
        is_widened = "w: only this" in person.everything.rpartition("wants to reach")[2]
        typed = keys.replace("d", "") if is_widened else keys
        for key in typed:
            person.type(key)
            if key == "g" and "together" in offered:  # counts as a new question: wait until keys count again
                person.see("keys: ")
        pressed += len(typed)
    return pressed


@pytest.mark.parametrize(
    ("way", "keys", "most"),
    [
        ("name by name", "y", 8),
        ("domain by domain", "dy", 10),
        ("any remote", "ddy", 6),
        ("all together", "gy", 4),
    ],
)
def test_a_page_is_a_handful_of_keys(lab: Lab, way: str, keys: str, most: int) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    client = lab.spawn(["/usr/bin/python3", str(PROGRAMS / "page_client.py"), *RESOURCES])
    asks = daemon.wait_for_count(lambda record: record["event"] == "ask", len(PAGE_NAMES))
    person = Person([str(BIN / "tinysnitch"), "prompt", "--socket", str(daemon.socket), "--plain"])
    try:
        pressed = press_until_loaded(person, keys, client)
    finally:
        person.close()
    told = f"{CONNECTIONS} connections to {len(PAGE_NAMES)} names, {way}: {pressed} keys instead of {len(asks)}"
    print(told)  # noqa: T201  (the number is of interest)
    assert json.loads(client.communicate(timeout=WAIT_S)[0]) == {"ok": CONNECTIONS}
    assert pressed <= most
