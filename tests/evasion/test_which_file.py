"""A path in a rule means the host's own file at that path: not what is mounted over it, nor what was there before."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.evasion.stage import PYTHON, TARGET, Stage
from tests.lab.patience import WAIT_S, wait_until, write_line

pytestmark = [pytest.mark.privileged]

IN_MOUNTS = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]


def test_another_file_mounted_over_the_path(stage: Stage) -> None:
    script = 'mount --bind "$0" "$1"; exec "$1" plain "$2" "$3"'
    record = stage.assert_denied(*IN_MOUNTS, script, stage.attack, stage.honest, *TARGET)
    assert record["program"] == str(stage.honest)


def make_root(stage: Stage, name: str) -> Path:
    """A folder to be used as root, with the attacker's program at the honest one's path."""
    root = stage.folder / name
    place = root / str(stage.honest).lstrip("/")
    place.parent.mkdir(parents=True)
    shutil.copy(stage.attack, place)
    subprocess.run(["chown", "-R", "nobody", str(root)], check=True)
    return root


def test_a_file_in_a_chroot_is_not_the_hosts(stage: Stage) -> None:
    root = make_root(stage, "chroot")
    record = stage.assert_denied("unshare", "-Ur", f"--root={root}", stage.honest, "plain", *TARGET)
    assert record["program"] == f"{root}{stage.honest}"


def test_pivot_root(stage: Stage) -> None:
    root = make_root(stage, "pivot")
    script = 'mount --bind "$0" "$0"; cd "$0"; mkdir -p old; pivot_root . old; exec "$1" plain "$2" "$3"'
    record = stage.assert_denied(*IN_MOUNTS, script, root, stage.honest, *TARGET)
    assert record["program"] == str(stage.honest)


def test_a_container_with_a_file_at_the_path(stage: Stage) -> None:
    """With namespaces of all kinds but the network's, and a root of its own."""
    root = make_root(stage, "container")
    script = 'mount --bind "$0" "$0"; cd "$0"; mkdir -p old; pivot_root . old; exec "$1" plain "$2" "$3"'
    command = ["unshare", "-Urmipu", "--fork", "sh", "-ec", script, root, stage.honest, *TARGET]
    assert stage.assert_denied(*command)["program"] == str(stage.honest)


def test_an_overlay(stage: Stage) -> None:
    upper, work = stage.folder / "upper", stage.folder / "overlay-work"
    for folder in (upper, work):
        folder.mkdir()
        shutil.chown(folder, "nobody")
    shutil.copy(stage.attack, upper / "program")
    shutil.chown(upper / "program", "nobody")
    script = (
        'mount -t overlay overlay -o "userxattr,lowerdir=$1,upperdir=$2,workdir=$3" "$1"; exec "$1/program" plain $4 $5'
    )
    command = [*IN_MOUNTS, script, "sh", stage.honest.parent, upper, work, *TARGET]
    assert stage.assert_denied(*command)["program"] == str(stage.honest)


SAME_INODE = """
import fcntl, os, struct, sys
subvolume, inode, program = sys.argv[1], int(sys.argv[2]), sys.argv[3]
parent = os.open(os.path.dirname(subvolume), os.O_RDONLY)
fcntl.ioctl(parent, 0x5000940E, bytearray(struct.pack("q4088s", 0, b"own")))  # linux/btrfs.h, BTRFS_IOC_SUBVOL_CREATE
while True:
    made = os.open(subvolume + "/program", os.O_CREAT | os.O_WRONLY, 0o755)
    if os.fstat(made).st_ino == inode:
        break
    assert os.fstat(made).st_ino < inode
    os.close(made)
    os.unlink(subvolume + "/program")
with open(program, "rb") as file:
    os.write(made, file.read())
"""


def test_a_file_of_another_btrfs_subvolume(stage: Stage) -> None:
    """A subvolume numbers its inodes anew below the same superblock, so both files agree in device and inode there.

    In a user namespace, and in a container, whose engine mounts subvolumes as root.
    """
    if not shutil.which("mkfs.btrfs"):
        pytest.skip("no mkfs.btrfs")
    image, root = stage.lab.folder / "image", stage.lab.folder / "btrfs"
    with image.open("wb") as file:
        file.truncate(256 << 20)
    make = """
    mkfs.btrfs -q "$0"; mkdir "$1"; mount -o loop "$0" "$1"; mkdir -m 1777 "$1/home"; mkdir "$1/bin"; cd "$1/bin"
    for number in $(seq 500); do : >$number; done; cp "$2" program; stat -c %i program
    """
    made = stage.lab.run_outside(["sh", "-ec", make, str(image), str(root), str(stage.honest)])
    try:
        honest, evil = root / "bin" / "program", root / "home" / "own"
        stage.daemon.edit_rules(f"{stage.daemon.read_rules()}allow - 80 tcp {honest}\n")
        assert stage.run(honest, "plain", *TARGET)["verdict"] == "allow", made.stderr
        command = [PYTHON, "-c", SAME_INODE, str(evil), made.stdout.strip(), str(stage.attack)]
        assert stage.lab.run(command, user="nobody").returncode == 0
        script = 'mount --bind "$0" "$1"; exec "$1" plain "$2" "$3"'
        record = stage.assert_denied(*IN_MOUNTS, script, evil / "program", honest, *TARGET)
        assert record["program"] == str(honest)
        container = stage.lab.cgroup / f"docker-{'0123456789abcdef' * 4}.scope"
        container.mkdir()
        inside = ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', container, "unshare", "--mount", "sh", "-ec"]
        record = stage.run(*inside, script, evil / "program", honest, *TARGET, user=None)
        assert (record["verdict"], record["program"]) == ("deny", str(honest))
    finally:
        stage.lab.run_outside(["umount", "-l", str(root)])


@pytest.mark.parametrize("change", ["replaced", "deleted", "renamed"])
def test_a_file_that_changed_under_its_process(stage: Stage, change: str) -> None:
    """What runs is not the host's file at the path any more, so the rule does not hold for it."""
    known = len(stage.decisions())
    saved = stage.honest.with_suffix(".saved")
    shutil.copy(stage.honest, saved)
    client = stage.lab.spawn([str(stage.honest), "wait", *TARGET], stdin=subprocess.PIPE)
    wait_running(client.pid, stage.honest)
    if change == "replaced":
        shutil.copy(saved, f"{saved}.new")
        os.replace(f"{saved}.new", stage.honest)
    elif change == "deleted":
        stage.honest.unlink()
    else:
        stage.honest.rename(stage.honest.with_suffix(".other"))
    try:
        write_line(client)
        assert client.wait(timeout=WAIT_S) == 1
        assert stage.next_decision(known)["verdict"] == "deny"
    finally:
        os.replace(saved, stage.honest)
    stage.forget_verdicts()
    assert stage.run(stage.honest, "plain", *TARGET)["verdict"] == "allow"


def wait_running(pid: int, program: Path) -> None:
    """Wait until the process executes the program itself, after nsenter and setpriv."""
    wait_until(lambda: os.readlink(f"/proc/{pid}/exe") == str(program))


def test_a_hard_link_is_another_path(stage: Stage) -> None:
    """Made by root: fs.protected_hardlinks keeps others from it."""
    link = stage.folder / "hard"
    link.hardlink_to(stage.honest)
    assert stage.assert_denied(link, "plain", *TARGET)["program"] == str(link)
    link.unlink()


def test_a_symbolic_link_is_the_file_that_it_leads_to(stage: Stage) -> None:
    to_honest, to_attack = stage.folder / "program", stage.folder / "link"
    to_honest.symlink_to(stage.honest)
    to_attack.symlink_to(stage.attack)
    stage.forget_verdicts()
    assert stage.run(to_honest, "plain", *TARGET)["program"] == str(stage.honest)
    assert stage.assert_denied(to_attack, "plain", *TARGET)["program"] == str(stage.attack)


def test_a_path_with_dots_is_resolved(stage: Stage) -> None:
    path = f"{stage.honest.parent}/../attackers/attack"
    assert stage.assert_denied(path, "plain", *TARGET)["program"] == str(stage.attack)
    path = f"{stage.folder}/../honest/program"
    stage.forget_verdicts()
    assert stage.run(path, "plain", *TARGET)["program"] == str(stage.honest)


FROM_MEMORY = """
import os, sys
program = os.memfd_create("{name}")
os.write(program, open("{attack}", "rb").read())
os.execve(program if "{way}" == "fexecve" else f"/proc/self/fd/{{program}}", ["{name}", "plain", *sys.argv[1:]], {{}})
"""


@pytest.mark.parametrize("way", ["fexecve", "proc"])
def test_a_program_that_is_only_in_memory(stage: Stage, way: str) -> None:
    script = FROM_MEMORY.format(name=str(stage.honest), attack=stage.attack, way=way)
    record = stage.assert_denied(PYTHON, "-c", script, *TARGET)
    assert record["program"] == f"/memfd:{stage.honest}"


def test_a_program_in_shared_memory_is_named_by_its_path(stage: Stage) -> None:
    place = Path("/dev/shm") / f"{stage.lab.folder.name}"
    shutil.copy(stage.attack, place)
    try:
        assert stage.assert_denied(place, "plain", *TARGET)["program"] == str(place)
    finally:
        place.unlink()


@pytest.mark.parametrize("name", ["new\nline", "with blank", "*", "allow - - -", "program\x1b[2J"])
def test_a_program_with_an_odd_name_is_denied_under_that_name(stage: Stage, name: str) -> None:
    odd = stage.folder / name
    shutil.copy(stage.attack, odd)
    assert stage.assert_denied(odd, "plain", *TARGET)["program"] == str(odd)
