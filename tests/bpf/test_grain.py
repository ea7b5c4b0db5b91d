"""grain.bpf.h: which execs are alike, as real ones are; and that nothing which user space must tell has a grain."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.bpf.attribution_table import make_image
from tests.bpf.bpf_place import BpfPlace
from tests.bpf.grains import Key, Known, grains_of, read_key, siphash
from tests.bpf.test_process import trace_images
from tinysnitch.kernel.bpf import layout
from tinysnitch.kernel.bpf.images import Image
from tinysnitch.kernel.bpf.programs import BpfPrograms

pytestmark = pytest.mark.privileged

NOBODY = 65534


def test_the_hash_is_the_published_one() -> None:
    """The example of the paper (appendix A): the bytes 0 to 14, then their number, and as key the bytes 0 to 15."""
    message = [int.from_bytes(bytes(range(at, at + 8)), "little") for at in (0, 8)]
    key = Key(message[0], message[1])
    assert siphash(key, [message[0], message[1]]) == 0xA129CA6149BE45E5


class Execs:
    """Runs copies of true(1), and tells what each was captured as."""

    def __init__(self, place: BpfPlace, programs: BpfPrograms, folder: Path) -> None:
        self.place, self.programs, self.folder = place, programs, folder
        self.file = folder / "program"
        shutil.copy("/bin/true", self.file)
        self.key = read_key(programs)
        exec_id = programs.add_image(make_image(sys.executable))  # as of what runs at the daemon's start
        assert programs.add_process(os.getpid(), 1, exec_id)

    def run(self, *command: str | Path, below: str = "", user: int = 0, cgroup: Path | None = None) -> Image:
        """The last program that the command executes, of those in our folder or without a file; its grains are right.
        `below`: an argument of the shell that executes the command."""
        join = f"echo $$ >{cgroup}/cgroup.procs;" if cgroup else ""
        shell = ["/bin/sh", "-c", f'{join} eval "$RUN"; :', below]
        run = {"RUN": shlex.join(map(str, command)), "PATH": os.environ["PATH"]}
        images = trace_images(self.programs, lambda: subprocess.run(shell, user=user, env=run, check=True))
        names = (str(self.folder), "/memfd:", "d" * 200)
        image = [each for each in images if each.executable.startswith(names)][-1]
        parent = self.programs.find_image(image.parent_exec_id)
        assert known(image) == grains_of(self.key, image, parent)
        return image


def known(image: Image) -> Known:
    return Known(image.file_id, image.args_id, image.lineage_id)


@pytest.fixture
def execs(place: BpfPlace, programs: BpfPrograms) -> Iterator[Execs]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # another user has to reach it
        yield Execs(place, programs, folder)


def test_execs_of_one_program_are_alike_and_others_differ_in_what_tells_them_apart(execs: Execs) -> None:
    file, hard, other = execs.file, execs.folder / "hard", execs.folder / "other"
    hard.hardlink_to(file)
    shutil.copy(file, other)
    first = known(execs.run(file, "-s", "x"))
    assert all(first)
    assert known(execs.run(file, "-s", "x")) == first
    with_others = known(execs.run(file, "-s"))
    assert (with_others.file, with_others.lineage) == (first.file, first.lineage)
    assert with_others.args not in first
    below_another = known(execs.run(file, "-s", "x", below="other"))
    assert (below_another.file, below_another.args) == (first.file, first.args)
    assert below_another.lineage not in first
    for another in (
        execs.run(file, "-s", "x", user=NOBODY),
        execs.run(file, "-s", "x", cgroup=execs.place.cgroup),
        execs.run(hard, "-s", "x"),
        execs.run(other, "-s", "x"),
    ):
        assert not {*known(another)} & {*first}


def test_arguments_are_alike_only_word_by_word(execs: Execs) -> None:
    """Also where one text is the beginning of another, or the words are cut elsewhere; and texts of any length."""
    argvs = [["a b"], ["a", "b"], ["a", "b", ""], ["ab"], ["a"], ["x" * 8], ["x" * 7], ["x" * 2000], ["x" * 2000, "y"]]
    found = [execs.run(execs.file, *words).args_id for words in argvs]
    assert len({*found}) == len(argvs)


def delete(execs: Execs) -> None:
    execs.file.unlink()


def replace(execs: Execs) -> None:
    """Its inode lives on by another name."""
    (execs.folder / "hard").hardlink_to(execs.file)
    shutil.copy(execs.file, execs.folder / "new")
    os.replace(execs.folder / "new", execs.file)


@pytest.mark.parametrize(("change", "flag"), [(delete, layout.IMAGE_DELETED), (replace, layout.IMAGE_UNLINKED)])
def test_a_file_that_is_no_more_at_its_path_has_no_grain(
    execs: Execs, change: Callable[[Execs], None], flag: int
) -> None:
    """It is executed by a descriptor that was opened before."""
    honest = execs.run(execs.file)
    with execs.file.open("rb") as opened:
        change(execs)
        script = f"import os; os.execve({opened.fileno()}, ['program'], {{}})"
        run = lambda: subprocess.run(  # noqa: E731
            [sys.executable, "-I", "-S", "-c", script], pass_fds=[opened.fileno()], check=True
        )
        [image] = [each for each in trace_images(execs.programs, run) if each.executable.startswith(str(execs.folder))]
    assert image.inode == honest.inode
    assert image.flags & flag
    assert known(image) == (0, 0, 0)


IN_MEMORY = (
    "import os; fd = os.memfd_create('x'); os.write(fd, open('/bin/true', 'rb').read()); os.execve(fd, ['x'], {})"
)


def test_what_only_user_space_can_tell_has_no_grain(execs: Execs) -> None:
    assert known(execs.run(sys.executable, "-I", "-S", "-c", IN_MEMORY)) == (0, 0, 0)
    assert known(execs.run("unshare", "--user", execs.file)) == (0, 0, 0)
    assert known(execs.run("unshare", "--user", "--mount", execs.file)) == (0, 0, 0)
    deep = execs.folder.joinpath(*["d" * 200] * 6)
    deep.mkdir(parents=True)
    shutil.copy(execs.file, deep / "true")
    cut = execs.run("sh", "-c", f"cd {deep}; exec ./true")
    assert cut.flags & layout.IMAGE_PATH_CUT
    assert known(cut) == (0, 0, 0)


def test_where_arguments_are_cut_those_have_no_grain(execs: Execs) -> None:
    whole, cut = execs.run(execs.file), execs.run(execs.file, "x" * layout.ARGS_SIZE)
    assert cut.args_id == 0
    assert cut.file_id == whole.file_id
