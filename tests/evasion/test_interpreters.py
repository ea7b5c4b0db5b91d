"""A rule for a script holds for that script, run by its interpreter in the plain way, and for nothing else."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evasion.stage import ATTACKER, CONNECT, PORT, PYTHON, TARGET, Stage
from tests.lab.daemon import Daemon
from tests.lab.patience import WAIT_S, read_line
from tests.lab.wakeups import stand_still
from tests.lab.world import WORLD4
from tinysnitch.client.control_client import ControlClient
from tinysnitch.protocol.messages import ListAsks, PromptShown

pytestmark = [pytest.mark.privileged]

FOLDERS = Path(__file__).parent / "programs" / "folders.c"
OVER_THE_SCRIPT = ["unshare", "-Urm", "sh", "-ec", 'mount --bind "$0" "$1"; exec /usr/bin/python3 "$@"']
SHELL_CONNECT = 'exec 3<>"/dev/tcp/$1/$2" && echo connected\n'
# The shell first reads its start-up file. That is a FIFO, and so it waits until its working directory has been moved.
MOVE_AND_RUN = """
mkfifo "$0/start"
cd "$0/moved"
(exec 3>"$0/start"; mv "$0/moved" "$0/deeper") &
BASH_ENV="$0/start" exec /usr/bin/bash "$@"
"""
PHP_CONNECT = "<?php fsockopen($argv[$argc - 2], $argv[$argc - 1]) or exit(1);"
ZSH_CONNECT = "zmodload zsh/net/tcp && ztcp $@[-2] $@[-1]"
# A child connects a socket that it shares with its parent, and is gone, without a zombie, before the daemon can look.
CONNECT_AND_GO = """\
import os, select, signal, socket, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
shared, (end, other_end) = socket.socket(), os.pipe()
shared.setblocking(False)
if not os.fork():
    try:
        shared.connect((sys.argv[1], int(sys.argv[2])))
    except BlockingIOError:
        os._exit(0)
os.close(other_end)
os.read(end, 1)
print("gone", flush=True)
select.select([], [shared], [])
shared.getpeername()
"""


def test_the_honest_script_is_allowed(stage: Stage) -> None:
    record = stage.run(PYTHON, stage.script, *TARGET)
    assert (record["verdict"], record["program"]) == ("allow", str(stage.script))
    assert stage.assert_denied(PYTHON, stage.evil_script, *TARGET)["program"] == str(stage.evil_script)


@pytest.mark.parametrize("front", [["-c", CONNECT], ["-"], ["-m", "evil"], ["/dev/stdin"], ["/proc/self/fd/0"]])
def test_code_from_elsewhere_is_the_interpreters(stage: Stage, front: list[str]) -> None:
    """The code comes from -c, stdin or a module; the honest script is a mere argument."""
    command = ["env", f"PYTHONPATH={stage.folder}", PYTHON, *front, stage.script, *TARGET]
    record = stage.assert_denied(*command, stdin=CONNECT)
    assert Path(record["program"]).name.startswith("python3")


@pytest.mark.skipif(not shutil.which("php"), reason="no php here")
def test_what_php_reads_from_standard_input_is_no_script(stage: Stage) -> None:
    """To php alone, all that stands behind `--` is an argument."""
    script = stage.honest.parent / "script.php"
    script.write_text(PHP_CONNECT)
    before = stage.daemon.read_rules()
    stage.daemon.edit_rules(f"{before}allow - {PORT} tcp {script}\n")
    try:
        assert stage.run("php", script, *TARGET)["program"] == str(script)
        record = stage.assert_denied("php", "--", script, *TARGET, stdin=PHP_CONNECT)
        assert Path(record["program"]).name.startswith("php")
    finally:
        stage.daemon.edit_rules(before)


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh here")
@pytest.mark.parametrize("option", [("-o", "shinstdin"), ("+o", "NO_SHIN_STDIN")])
def test_what_a_shell_reads_from_standard_input_is_no_script(stage: Stage, option: tuple[str, str]) -> None:
    """Options with long names make zsh read it, too: no `-s` is among the words."""
    script = stage.honest.parent / "script.zsh"
    script.write_text(ZSH_CONNECT)
    before = stage.daemon.read_rules()
    stage.daemon.edit_rules(f"{before}allow - {PORT} tcp {script}\n")
    try:
        assert stage.run("zsh", "-o", "nounset", script, *TARGET)["program"] == str(script)
        record = stage.assert_denied("zsh", *option, script, *TARGET, stdin=ZSH_CONNECT)
        assert Path(record["program"]).name.startswith("zsh")
    finally:
        stage.daemon.edit_rules(before)


def test_a_link_that_is_turned_after_the_start(stage: Stage) -> None:
    """The attacker's link leads to the evil script when python reads it, and to the honest one when we look."""
    link = stage.folder / "turned.py"
    link.symlink_to(stage.folder / "turning.py")
    (stage.folder / "turning.py").write_text(
        f"import os\nos.unlink('{link}')\nos.symlink('{stage.script}', '{link}')\n{CONNECT}"
    )
    record = stage.assert_denied(PYTHON, link, *TARGET)
    assert record["program"] != str(stage.script)
    assert link.readlink() == stage.script


def test_a_link_that_is_turned_to_a_script_of_the_same_user(stage: Stage) -> None:
    """A user's own link is followed only if it still is what it was when the program started."""
    honest, link = stage.folder / "own.py", stage.folder / "own-link.py"
    honest.write_text(CONNECT)
    link.symlink_to(stage.folder / "turning-own.py")
    (stage.folder / "turning-own.py").write_text(
        f"import os, time\ntime.sleep(0.05)\nos.unlink('{link}')\nos.symlink('{honest}', '{link}')\n{CONNECT}"
    )
    give = ["chown", "-hR", ATTACKER, str(stage.folder)]
    subprocess.run(give, check=True)
    before = stage.daemon.read_rules()
    stage.daemon.edit_rules(f"{before}allow - {PORT} tcp {honest}\n")
    try:
        assert stage.assert_denied(PYTHON, link, *TARGET)["program"] != str(honest)
        link.unlink()
        link.symlink_to(honest)
        subprocess.run(give, check=True)
        record = stage.run(PYTHON, link, *TARGET)
        assert (record["verdict"], record["program"]) == ("allow", str(honest))
    finally:
        stage.daemon.edit_rules(before)


@pytest.mark.parametrize("change", ["replaced", "rewritten"])
def test_a_script_that_is_exchanged_after_its_start(stage: Stage, change: str) -> None:
    """Evil code is started from the honest script's path; when the daemon looks, the honest content is there again."""
    honest = stage.script.read_text()
    stage.script.write_text(f"print('read', flush=True)\ninput()\n{CONNECT}")
    known = len(stage.decisions())
    client = stage.lab.spawn([PYTHON, str(stage.script), *TARGET], user="nobody", stdin=subprocess.PIPE)
    assert read_line(client) == "read\n"
    if change == "replaced":
        kept = stage.script.with_suffix(".kept")
        kept.write_text(honest)
        kept.rename(stage.script)
    else:
        stage.script.write_text(honest)
    client.communicate("\n", timeout=WAIT_S)
    record = stage.next_decision(known)
    assert (record["verdict"], record["program"], client.returncode) == ("deny", str(stage.script), 1)
    assert stage.run(PYTHON, stage.script, *TARGET)["verdict"] == "allow"


def test_a_script_that_is_started_right_after_it_was_written_is_allowed(stage: Stage) -> None:
    """Within one tick of the clock that file times are taken from, an earlier write cannot be told from a later one."""
    for _ in range(5):
        stage.script.write_text(CONNECT)
        assert stage.run(PYTHON, stage.script, *TARGET)["verdict"] == "allow"


def test_another_file_mounted_over_the_script(stage: Stage) -> None:
    stage.assert_denied(*OVER_THE_SCRIPT, stage.evil_script, stage.script, *TARGET)


def test_another_file_mounted_over_the_script_of_a_process_that_is_gone(stage: Stage) -> None:
    """The daemon looks only when the process and its mounts are gone."""
    gone = stage.folder / "gone.py"
    gone.write_text(CONNECT_AND_GO)
    known = len(stage.decisions())
    stand_still(stage.daemon.process.pid)
    try:
        client = stage.lab.spawn([*OVER_THE_SCRIPT, str(gone), str(stage.script), *TARGET], user="nobody")
        assert read_line(client) == "gone\n"
    finally:
        stage.daemon.process.send_signal(signal.SIGCONT)
    record = stage.next_decision(known)
    assert (record["verdict"], record["program"]) == ("deny", str(stage.script))
    assert client.wait(timeout=WAIT_S) == 1


def test_a_bare_name_in_the_scripts_folder_is_the_script(stage: Stage) -> None:
    command = ["sh", "-ec", 'cd "$0"; exec "$@"', stage.script.parent, PYTHON, stage.script.name, *TARGET]
    record = stage.run(*command)
    assert (record["verdict"], record["program"]) == ("allow", str(stage.script))


@pytest.mark.parametrize("trick", ["shared", "mounted", "unmounted"])
def test_a_bare_name_in_a_folder_that_is_not_what_it_seems(stage: Stage, trick: str) -> None:
    """The working directory is shared with a process that changes it; or it is the attacker's mount, or lies below one
    that was unmounted, though the program itself is in the host's mounts."""
    program = stage.folder / trick
    subprocess.run(["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", program, FOLDERS], check=True)
    for folder in (stage.folder, Path(f"{stage.folder}{stage.script.parent}")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / stage.script.name).write_text(SHELL_CONNECT)
    record = stage.assert_denied(program, trick, stage.script.parent, stage.folder, stage.script.name, *TARGET)
    assert record["program"] == os.path.realpath("/usr/bin/bash")


def test_dots_out_of_a_folder_of_roots_lead_to_the_script(stage: Stage) -> None:
    folder = stage.script.parent / "below"
    folder.mkdir()
    record = stage.run("sh", "-ec", 'cd "$0"; exec "$@"', folder, PYTHON, f"../{stage.script.name}", *TARGET)
    assert (record["verdict"], record["program"]) == ("allow", str(stage.script))


def test_dots_out_of_a_folder_that_is_moved_before_the_script_is_read(stage: Stage) -> None:
    """When the shell opens the script, `..` of the working directory is another folder than at the start."""
    name = stage.script.relative_to(stage.folder.parent)
    for folder in (stage.folder / "moved", stage.folder / "deeper", (stage.folder / name).parent):
        folder.mkdir(exist_ok=True)
    (stage.folder / name).write_text(SHELL_CONNECT)
    subprocess.run(["chown", "-R", "nobody", stage.folder], check=True)
    record = stage.assert_denied("sh", "-ec", MOVE_AND_RUN, stage.folder, f"../../{name}", *TARGET)
    assert record["program"] == os.path.realpath("/usr/bin/bash")


def test_an_interpreter_of_the_attackers_is_no_interpreter(stage: Stage) -> None:
    """A program that is merely called python3 runs whatever it likes, not the script among its arguments."""
    own = stage.folder / "python3"
    shutil.copy(stage.attack, own)
    record = stage.assert_denied(own, stage.script, *TARGET)
    assert record["program"] == str(own)


@pytest.fixture
def roots_python() -> Iterator[Path]:
    """An interpreter outside /usr/bin where only root can write, like one of pyenv's or Nix's."""
    with tempfile.TemporaryDirectory(dir="/var/lib", prefix="tinysnitch-test-") as folder:
        os.chmod(folder, 0o755)
        program = Path(folder) / "python3"
        shutil.copy(os.path.realpath(PYTHON), program)
        yield program


def test_an_interpreter_that_only_root_can_change_is_one_wherever_it_is(stage: Stage, roots_python: Path) -> None:
    record = stage.run(roots_python, stage.script, *TARGET)
    assert (record["verdict"], record["program"]) == ("allow", str(stage.script))


def test_a_program_mounted_over_roots_interpreter_is_none(stage: Stage, roots_python: Path) -> None:
    over = ["unshare", "-Urm", "sh", "-ec", 'mount --bind "$0" "$1"; exec "$@"']
    record = stage.assert_denied(*over, stage.attack, roots_python, stage.script, *TARGET)
    assert record["program"] == str(roots_python)


@pytest.fixture
def asking(stage: Stage) -> Iterator[Daemon]:
    """The stage's daemon, started anew so that it asks; afterwards it denies at once again."""
    restart(stage, timeout_s=300)
    yield stage.daemon
    restart(stage, timeout_s=0)


def restart(stage: Stage, timeout_s: float) -> None:
    assert stage.daemon.stop() == 0
    stage.daemon = stage.lab.restart_daemon(stage.daemon.rules.parent, timeout_s=timeout_s)


@pytest.mark.parametrize("name", ["LD_PRELOAD", "PYTHONSTARTUP", "PYTHONPATH"])
def test_code_loaded_into_the_honest_program_is_warned_of(stage: Stage, asking: Daemon, name: str) -> None:
    """A rule cannot tell that, but a person can: each prompt names the variables that load code into the program."""
    command = ["env", f"{name}={stage.folder}/no-such-file", PYTHON, str(stage.script), WORLD4, "8080"]
    client = stage.lab.spawn(command, user="nobody")
    ask = asking.wait_ask(remote_port=8080)
    assert f"started with {name}" in read_warnings(asking)
    asking.answer(ask, "no", "--for", "once")
    assert client.wait(timeout=WAIT_S) != 0


def read_warnings(daemon: Daemon) -> tuple[str, ...]:
    """The warnings of the only open prompt."""
    with ControlClient(daemon.socket) as client:
        (shown,) = client.ask(ListAsks(), PromptShown)
    process = shown.prompt.connection.attribution.process
    assert process
    return process.warnings
