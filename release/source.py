"""The sources of a release: a commit, taken out of git into a folder of its own, and the wheel that is built there."""

import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Source:
    folder: Path
    committed_s: int  # since the epoch

    @property
    def environment(self) -> dict[str, str]:
        """For the tools that build: they take it for the time of all that they write."""
        return {**os.environ, "SOURCE_DATE_EPOCH": str(self.committed_s)}


def export_commit(repository: Path, folder: Path) -> Source:
    """Raises SystemExit if this is no clone."""
    folder.mkdir(parents=True)
    committed_s = int(run_git(repository, "log", "-1", "--format=%ct"))
    archive = folder.with_suffix(".tar")
    run_git(repository, "archive", "--output", str(archive), "HEAD")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    archive.unlink()
    return Source(folder, committed_s)


def run_git(repository: Path, *words: str) -> str:
    command = ["git", "-c", f"safe.directory={repository}", "-C", str(repository), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: {done.stderr.strip()}\nhint: a release is made of a commit, in a clone")
    return done.stdout.strip()


def build_wheel(source: Source, target: Path) -> Path:
    """Compiles the BPF objects (hatch_build.py), and writes the manual into the folder `share` of the sources."""
    run_python(source, "hatch_build.py")
    run_python(source, "-m", "release.manual", "share")
    run_python(source, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target.absolute()))
    (wheel,) = target.glob("tinysnitch-*.whl")
    return wheel


def run_python(source: Source, *words: str) -> None:
    """With the code of the sources, not of the clone. Bytecode would be files more in the sources."""
    paths = {"PYTHONPATH": str(source.folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    environment = {**source.environment, **paths}
    subprocess.run([sys.executable, *words], cwd=source.folder, env=environment, check=True, stdout=subprocess.DEVNULL)
