"""The systemd units: what they start and when, and what is done when they stop."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.repo.test_install import CLOSED, SCRIPTS, write_script
from tests.repo.tree import ROOT


def test_the_firewall_starts_before_the_network_in_no_ordering_cycle_and_stops_after_ordinary_services() -> None:
    """After nothing that itself waits for the network: to break the cycle, systemd would leave out a service, perhaps
    this one. Before ordinary services, since a shutdown takes the reverse order: otherwise a service that takes long to
    end has an open network (tried, systemd 257, with one that took 4 s)."""
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
    """If tinysnitch-closed is missing, or of an earlier build, or finds the machine open, the Python command is run."""
    add = "tinysnitch-iptables-add"
    write_script(tmp_path / add, f"echo {add}")
    if found:
        write_script(tmp_path / CLOSED, f'[ "$*" = check ] && {found}')
    step = next(line for line in read_unit("tinysnitchd").splitlines() if line.startswith("ExecStartPre=/"))
    assert "$" not in step  # nothing that systemd would expand
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
        (None, "{clone}/.venv/bin/tinysnitchd"),  # the folder is missing, too
    ],
)
def test_each_start_says_when_the_daemons_python_is_gone(tmp_path: Path, daemon: str | None, told: str | None) -> None:
    """The shell and systemd only say that the command is not found, although its file is there. The unit goes on, since
    the `-` in ExecStartPre=- ignores this step's result."""
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


def test_the_boot_is_closed_before_the_daemon_starts_and_opened_once_its_rules_stand() -> None:
    texts = ((ROOT / f"packaging/{name}.service").read_text() for name in ("tinysnitchd", CLOSED))
    daemon, closed = (text.replace("\\\n", "").splitlines() for text in texts)
    steps = [line.rpartition("/")[2].rstrip("'") for line in daemon if line.startswith("ExecStart")]
    assert steps == [f"{CLOSED} explain", "tinysnitch-iptables-add", f"{CLOSED} open", "tinysnitchd"]
    assert "Before=tinysnitchd.service network-pre.target shutdown.target" in closed
    assert {"DefaultDependencies=no", "WantedBy=tinysnitchd.service", "TimeoutStartSec=infinity"} <= set(closed)


def test_the_unit_counts_as_started_only_once_the_daemon_judges() -> None:
    """Otherwise what comes right after the start is too early and lost: DNS questions, `tinysnitch rules add`."""
    assert "Type=notify" in read_unit("tinysnitchd").splitlines()


def test_a_sighup_during_the_start_restarts_the_daemon() -> None:
    """Before the daemon handles signals it dies of SIGHUP, which systemd takes for a clean end: it would stay dead."""
    assert "RestartForceExitStatus=SIGHUP" in (ROOT / "packaging/tinysnitchd.service").read_text().splitlines()


# Prints how the last start ended, as systemd 252, 255 and 257 do.
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
        ("", NEVER_RUN, True),  # stopped during a step before ExecStart, which systemd takes for a failure
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
def test_a_stop_opens_the_machine_also_while_no_daemon_runs(
    tmp_path: Path, flags: str, ended: str, opens: bool
) -> None:
    """Between two restarts, or before the daemon handles signals, systemd runs no stop step of tinysnitchd itself."""
    assert stop(tmp_path, FAKE_SYSTEMCTL % (flags, ended), "echo opened").stdout == ("opened\n" if opens else "")


@pytest.mark.parametrize("remove", [None, "exit 1", "echo opened"])
def test_a_stop_opens_the_machine_also_without_python(tmp_path: Path, remove: str | None) -> None:
    done = stop(tmp_path, FAKE_SYSTEMCTL % ("", FAILED), remove)
    assert done.returncode == 0
    assert done.stdout == ("opened\n" if remove == "echo opened" else f"{CLOSED} remove\n")


def stop(folder: Path, systemctl: str, remove: str | None) -> subprocess.CompletedProcess[str]:
    """Run the stop step of tinysnitch-open.service. `remove`: what tinysnitch-iptables-remove does (None: missing)."""
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


def test_the_unit_that_opens_the_machine_is_active_at_each_stop() -> None:
    """Whatever number of starts there were, and nobody can stop it alone. (Tried, systemd 257: when it was stopped
    alone, or after five starts in ten seconds, a stop between two tries left the machine closed.)"""
    assert re.search(r"^Wants=.*\btinysnitch-open\.service$", read_unit("tinysnitchd"), re.MULTILINE)
    assert {
        "StopWhenUnneeded=yes",
        "RefuseManualStop=yes",
        "StartLimitIntervalSec=0",
        "RemainAfterExit=yes",
        "DefaultDependencies=no",
    } <= set(read_unit("tinysnitch-open").splitlines())


@pytest.mark.parametrize("unit", sorted((ROOT / "packaging").glob("*.service")), ids=lambda unit: unit.name)
def test_a_unit_starts_only_commands_that_are_installed(unit: Path) -> None:
    ways = re.findall(r"^Exec(?!Reload)\w+=(.*)", unit.read_text().replace("\\\n", ""), re.MULTILINE)
    started = [match[1] for way in ways if (match := re.search(r"(?:/usr/bin/env |/usr/local/bin/)([\w-]+)", way))]
    assert len(started) == len(ways)
    assert set(started) <= {*SCRIPTS, CLOSED}
