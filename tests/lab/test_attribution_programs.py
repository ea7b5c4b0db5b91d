"""How programs are named: a script by its own path, other code by its interpreter's path, the kernel by `kernel`."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lab.daemon import Record
from tests.lab.patience import WAIT_S
from tests.lab.watched_lab import PYTHON, WatchedLab
from tests.lab.world import HOST4, PROGRAMS, WORLD4

pytestmark = [pytest.mark.privileged]

SH = 'exec 3<>"/dev/tcp/{0}/{1}"\n'
PERL = 'use IO::Socket::INET; IO::Socket::INET->new(PeerAddr => "{0}", PeerPort => {1}) or die;\n'
NODE = "require('net').connect({1}, '{0}', function () {{ this.destroy() }});\n"
RUBY = "require 'socket'; TCPSocket.new('{0}', {1})\n"
PHP = "<?php fsockopen('{0}', {1});\n"
PY = "import socket; socket.create_connection(('{0}', {1}))\n"
CODE = {"python3": PY, "bash": SH, "perl": PERL, "node": NODE, "ruby": RUBY, "php": PHP}
PATH = "/usr/bin:/bin"
USER = (pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)
INTERPRETERS = [
    pytest.param(name, marks=pytest.mark.skipif(not shutil.which(name, path=PATH), reason=f"no {name} here"))
    for name in CODE
]
_ports = iter(range(8200, 8300))


def find(name: str) -> str:
    return str(shutil.which(name, path=PATH))


def run_and_find(watched: WatchedLab, command: list[str], port: int) -> Record:
    """Run a client that connects to a closed port: the world refuses it, but it is judged and logged before."""
    watched.lab.run(["env", f"PATH={PATH}", *command])
    return watched.daemon.wait_connection(remote_port=port)


def write_script(watched: WatchedLab, name: str, port: int, first: str = "") -> Path:
    script = watched.lab.folder / f"script-{port}"
    script.write_text(first + CODE[name].format(WORLD4, port))
    script.chmod(0o755)
    return script


@pytest.mark.parametrize("name", INTERPRETERS)
def test_the_script_is_the_program(watched: WatchedLab, name: str) -> None:
    port = next(_ports)
    script = write_script(watched, name, port)
    record = run_and_find(watched, [find(name), str(script), "1200"], port)
    assert (record["program"], record["args"]) == (str(script), ["1200"])


@pytest.mark.parametrize("name", INTERPRETERS)
@pytest.mark.parametrize("front", ["#!{}\n", "#!/usr/bin/env {0.name}\n"])
def test_a_script_that_is_executed_is_the_program(watched: WatchedLab, name: str, front: str) -> None:
    port = next(_ports)
    script = write_script(watched, name, port, front.format(Path(find(name))))
    assert run_and_find(watched, [str(script), "x"], port)["program"] == str(script)


def test_a_script_behind_a_link_of_its_users_own_is_the_program(watched: WatchedLab) -> None:
    """pipx and npm install tools so into a home. A rule for one must not be for all that its interpreter runs."""
    port = next(_ports)
    script = write_script(watched, "python3", port, "#!/usr/bin/env python3\n")
    link = watched.lab.folder / f"tool-{port}"
    link.symlink_to(script)
    command = ["env", f"PATH={PATH}", str(link)]
    for path in (script, link):
        os.lchown(path, *USER)
    watched.lab.run(command, user="nobody")
    assert watched.daemon.wait_connection(remote_port=port)["program"] == str(script)


@pytest.mark.skipif(not shutil.which("dash"), reason="no dash here")
def test_a_shell_script_is_the_parent_of_the_program_that_connects(watched: WatchedLab) -> None:
    """dash itself has no sockets."""
    port = next(_ports)
    script = watched.lab.folder / "script.sh"
    script.write_text(f"{PYTHON} {PROGRAMS}/tcp_client.py {WORLD4} {port}; true\n")
    record = run_and_find(watched, ["/bin/sh", str(script)], port)
    assert (record["program"], record["parents"][0]) == (f"{PROGRAMS}/tcp_client.py", str(script))


@pytest.mark.skipif(not shutil.which("javac"), reason="no javac here")
def test_a_jar_is_the_program(watched: WatchedLab) -> None:
    port = next(_ports)
    folder = watched.lab.folder / "java"
    folder.mkdir()
    code = f'new java.net.Socket("{WORLD4}", {port}).close();'
    (folder / "Client.java").write_text(
        f"class Client {{ public static void main(String[] a) throws Exception {{ {code} }} }}"
    )
    jar = folder / "client.jar"
    for command in (["javac", "Client.java"], ["jar", "cfe", str(jar), "Client", "Client.class"]):
        subprocess.run(command, cwd=folder, check=True, timeout=WAIT_S)
    assert run_and_find(watched, ["java", "-jar", str(jar)], port)["program"] == str(jar)


def test_code_on_the_command_line_is_the_interpreters(watched: WatchedLab) -> None:
    port = next(_ports)
    record = run_and_find(watched, [PYTHON, "-c", PY.format(WORLD4, port)], port)
    assert record["program"] == os.path.realpath(PYTHON)


UNMOUNTED = """
>"$0"; mount --bind "$BASH" "$0"; exec 9<"$0"; umount -l "$0"
/proc/self/fd/9 -c "exec 3<>/dev/tcp/$1/$2"
true # so that this shell stays
"""


def test_a_program_that_executes_itself_from_an_unmounted_file_keeps_its_name(watched: WatchedLab) -> None:
    """Rootless buildah and skopeo do so before they fetch anything."""
    port = next(_ports)
    command = ["unshare", "-Urm", find("bash"), "-c", UNMOUNTED, str(watched.lab.folder / "bash"), WORLD4, str(port)]
    record = run_and_find(watched, command, port)
    assert (record["program"], record["parents"][0]) == (os.path.realpath(find("bash")),) * 2


def test_packets_that_the_kernel_answers_itself_are_the_kernels(watched: WatchedLab) -> None:
    """The kernel answers an echo request from outside."""
    assert watched.lab.run_world(["ping", "-n", "-c1", "-W3", HOST4]).returncode == 0
    record = watched.daemon.wait_connection(direction="inbound", protocol="icmp")
    assert (record["program"], record["attribution"], record["pid"]) == ("kernel", "kernel", None)
