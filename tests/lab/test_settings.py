"""tinysnitch.toml with a real daemon and a real prompt: at the start, with a mistake in it, and edited meanwhile."""

from contextlib import closing

import pytest

from tests.lab.daemon import BIN
from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import WAIT_S
from tests.lab.person import KEYS_COUNT, Person

pytestmark = [pytest.mark.privileged]

CURL = ["curl", "-sS", "http://shop.test/"]
ELSEWHERE = ["curl", "-sS", "http://shop.test:81/"]  # the first answer is for port 80


def test_settings_count_at_the_start_and_when_they_are_edited(lab: Lab) -> None:
    folder = lab.folder / "daemon-0"
    settings = folder / "config" / "tinysnitch.toml"
    settings.parent.mkdir(parents=True)
    (folder / "rules").write_text(DNS_RULE)
    settings.write_text('tymeout = 3\n\n[prompt]\nlifetime = "forever"\n')
    daemon = lab.restart_daemon(folder)
    wrong = f"{settings}:1: there is no key 'tymeout'"
    daemon.wait_for(lambda record: record["event"] == "lost" and record["what"].startswith(wrong))
    assert f"{wrong} (hint: did you mean timeout?)" in daemon.cli("status").stdout

    command = [str(BIN / "tinysnitch"), "prompt", "--socket", str(daemon.socket)]
    with closing(Person(command)) as person:
        person.see("no questions")
        for words, name, key in ((CURL, "shop.test", "y"), (ELSEWHERE, "shop.test", "n")):
            client = lab.spawn(words)
            person.see(f"curl wants to reach {name}")
            person.see(KEYS_COUNT[False])
            person.type(key)
            assert client.wait(timeout=WAIT_S) == (0 if key == "y" else 7)
            settings.write_text('lists = "/run/x"\n[prompt]\nlifetime = "1m"\n')
            daemon.wait_for(
                lambda record: record["event"] == "lost" and "next start these count: lists" in record["what"]
            )

    answers = [record["rule"].split()[:2] for record in daemon.records("answer")]
    assert answers[0] == ["allow", "shop.test"]
    assert (answers[1][0], answers[1][1][:6]) == ("deny", "until=")
    status = daemon.cli("status").stdout
    assert "SETTINGS WRONG" not in status
    assert "at the next start these count: lists" in status
