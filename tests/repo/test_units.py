"""The units of systemd: what they start, and when, and what is done at their end."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.repo.test_install import CLOSED, SCRIPTS, write_script
from tests.repo.tree import ROOT


def test_the_firewall_comes_before_the_network_and_in_no_circle_and_stays() -> None:
    """Not after what waits for the network itself: systemd would leave out a service, perhaps this one. Before what is
    ordinary, since a shutdown goes the other way (tried, systemd 257: what took 4 s to end had an open network)."""
    unit = (ROOT / "packaging/tinysnitchd.service").read_text().splitlines()
    assert {"DefaultDependencies=no", "Conflicts=shutdown.target"} <= set(unit)
    assert {
        "RestartKillSignal=SIGUSR1",
        "StartLimitIntervalSec=0",
        "OOMPolicy=continue",
        "TimeoutStartSec=infinity",
    } <= set(unit)
    assert [line for line in unit if line.startswith(("After=", "Before="))] == [
        "After=local-fs.target tinysnitch-open.service",
        "Before=basic.target network-pre.target shutdown.target",
    ]


@pytest.mark.parametrize(("found", "adds"), [("exit 0", False), ("exit 1", True), (None, True)])
def test_a_restart_that_finds_the_machine_closed_does_not_wait_for_python(
    tmp_path: Path, found: str | None, adds: bool
) -> None:
    """Not there, or of an earlier build: Python tells."""
    add = "tinysnitch-iptables-add"
    write_script(tmp_path / add, f"echo {add}")
    if found:
        write_script(tmp_path / CLOSED, f'[ "$*" = check ] && {found}')
    step = next(line for line in read_unit("tinysnitchd").splitlines() if line.startswith("ExecStartPre=/"))
    assert "$" not in step  # of what systemd puts in there is nothing
    command = step.partition("=")[2].replace("/usr/local/bin", str(tmp_path))
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{add}\n" if adds else ""), done.stderr


@pytest.mark.parametrize(
    ("daemon", "told"),
    [
        ("#!/bin/sh\n", None),
        ("#! /usr/bin/env -S python3 -I\n", None),
        ("#!/nowhere/python3.13\n", "/nowhere/python3.13"),
        ("#!/nowhere/python3.13 -I", "/nowhere/python3.13"),
        (None, "{clone}/.venv/bin/tinysnitchd"),  # nor is there its folder
    ],
)
def test_that_its_python_is_gone_is_told_at_each_try(tmp_path: Path, daemon: str | None, told: str | None) -> None:
    """What the shell and systemd say is that the command is not found, which is there; and it is tried all the same."""
    clone, commands = tmp_path / "clone", tmp_path / "commands"
    commands.mkdir()
    if daemon is not None:
        (clone / ".venv/bin").mkdir(parents=True)
        (clone / ".venv/bin/tinysnitchd").write_text(daemon)
    (commands / "tinysnitchd").symlink_to(clone / ".venv/bin/tinysnitchd")
    shutil.copy(ROOT / f"packaging/{CLOSED}", commands)
    first = next(line for line in read_unit("tinysnitchd").splitlines() if line.startswith("ExecStartPre="))
    assert first.startswith("ExecStartPre=-/")
    command = first.partition("=-")[2].replace("/usr/local/bin", str(commands))
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stderr.splitlines() == (
        [
            f"tinysnitch: error: tinysnitchd cannot be executed: there is no {told.format(clone=clone)}",
            f"tinysnitch: hint: make install in {clone}",
        ]
        if told
        else []
    )


def test_what_closes_a_boot_without_us_comes_before_and_is_opened_by_our_rules() -> None:
    texts = ((ROOT / f"packaging/{name}.service").read_text() for name in ("tinysnitchd", CLOSED))
    daemon, closed = (text.replace("\\\n", "").splitlines() for text in texts)
    steps = [line.rpartition("/")[2].rstrip("'") for line in daemon if line.startswith("ExecStart")]
    assert steps == [f"{CLOSED} explain", "tinysnitch-iptables-add", f"{CLOSED} open", "tinysnitchd"]
    assert "Before=tinysnitchd.service network-pre.target shutdown.target" in closed
    assert {"DefaultDependencies=no", "WantedBy=tinysnitchd.service", "TimeoutStartSec=infinity"} <= set(closed)


def test_the_network_waits_until_it_judges_and_so_does_whoever_starts_it() -> None:
    """Else what is asked at once (a resolver; `tinysnitch rules add` behind the start) comes too early, and is lost."""
    assert "Type=notify" in read_unit("tinysnitchd").splitlines()


def test_what_hangs_it_up_in_its_first_moments_starts_it_again() -> None:
    """Before it takes signals. systemd takes that for a clean end: it would be dead for good."""
    assert "RestartForceExitStatus=SIGHUP" in (ROOT / "packaging/tinysnitchd.service").read_text().splitlines()


# As systemd 252, 255 and 257 print how the last try went.
FAKE_SYSTEMCTL = """[ "$*" = "show -p ExecStart tinysnitchd" ] || exit 0
echo "ExecStart={ path=/usr/local/bin/tinysnitchd ; argv[]=/usr/local/bin/tinysnitchd%s ; pid=9 ; %s }"
"""
NEVER_RUN, WRONG_FLAG, NOT_PERMITTED, FAILED, ENDED, INTERRUPTED = (
    *("code=(null) ; status=0/0", "code=exited ; status=2", "code=exited ; status=4", "code=exited ; status=1"),
    *("code=killed ; status=15/TERM", "code=killed ; status=2/INT"),
)


@pytest.mark.parametrize(
    ("flags", "ended", "opens"),
    [
        ("", NEVER_RUN, True),  # its first step was, which systemd takes for a failure
        ("", FAILED, True),
        ("", ENDED, True),
        ("", INTERRUPTED, True),
        ("", WRONG_FLAG, False),
        ("", NOT_PERMITTED, False),
        (" --admin alice", FAILED, True),
        (" --on-exit keep", FAILED, False),
        (" --on-exit=keep --learn", ENDED, False),
    ],
)
def test_what_is_stopped_whatever_of_it_runs_opens_the_machine(
    tmp_path: Path, flags: str, ended: str, opens: bool
) -> None:
    """Between two restarts, before the next try or before it takes signals: systemd runs no step of it then."""
    assert stop(tmp_path, FAKE_SYSTEMCTL % (flags, ended), "echo opened").stdout == ("opened\n" if opens else "")


@pytest.mark.parametrize("remove", [None, "exit 1", "echo opened"])
def test_what_is_stopped_without_its_python_opens_the_machine(tmp_path: Path, remove: str | None) -> None:
    done = stop(tmp_path, FAKE_SYSTEMCTL % ("", FAILED), remove)
    assert done.returncode == 0
    assert done.stdout == ("opened\n" if remove == "echo opened" else f"{CLOSED} remove\n")


def stop(folder: Path, systemctl: str, remove: str | None) -> subprocess.CompletedProcess[str]:
    """What tinysnitch-open.service does at its end, where tinysnitch-iptables-remove does so, or cannot be executed."""
    (command,) = re.findall(
        r"^ExecStop=/bin/sh -c '(.*)'$", read_unit("tinysnitch-open").replace("\\\n", ""), re.MULTILINE
    )
    scripts = {"systemctl": systemctl, CLOSED: f'echo "{CLOSED} $*"'}
    if remove:
        scripts["tinysnitch-iptables-remove"] = remove
    for name, text in scripts.items():
        write_script(folder / name, text)
    path = {"PATH": f"{folder}:{os.environ['PATH']}"}
    script = command.replace("/usr/local/bin/", f"{folder}/")
    return subprocess.run(["sh", "-c", script], env=path, capture_output=True, text=True)


def read_unit(name: str) -> str:
    return (ROOT / f"packaging/{name}.service").read_text()


def test_what_opens_the_machine_is_there_at_each_stop() -> None:
    """However many starts there were, and nobody stops it alone (tried, systemd 257: after that, or five starts in ten
    seconds, what was stopped between two tries stayed closed)."""
    assert re.search(r"^Wants=.*\btinysnitch-open\.service$", read_unit("tinysnitchd"), re.MULTILINE)
    assert {
        "StopWhenUnneeded=yes",
        "RefuseManualStop=yes",
        "StartLimitIntervalSec=0",
        "RemainAfterExit=yes",
        "DefaultDependencies=no",
    } <= set(read_unit("tinysnitch-open").splitlines())


@pytest.mark.parametrize("unit", sorted((ROOT / "packaging").glob("*.service")), ids=lambda unit: unit.name)
def test_a_unit_starts_what_is_installed(unit: Path) -> None:
    ways = re.findall(r"^Exec(?!Reload)\w+=(.*)", unit.read_text().replace("\\\n", ""), re.MULTILINE)
    started = [match[1] for way in ways if (match := re.search(r"(?:/usr/bin/env |/usr/local/bin/)([\w-]+)", way))]
    assert len(started) == len(ways)
    assert set(started) <= {*SCRIPTS, CLOSED}
