"""The packages of one machine and format: the firewall, and its window, which brings Qt."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from release.environment import PACKAGES, download, unpack, write_environment
from release.files import (
    DOC,
    write_debian_files,
    write_pages,
    write_service_files,
    write_window_files,
)
from release.formats import DEB, FORMATS, PROJECT, Format, Package, Recipe, read_recipe, write_package
from release.licences import write_copyright
from release.source import Source

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}  # as Debian and as Python name them
WINDOW = f"{PROJECT}-window"
SUMMARY = "interactive firewall: unknown connections wait for your key"
DESCRIPTION = """\
Every connection, in or out, that no rule covers is held until somebody
presses a key. The answer becomes one line in a text file, and from then on
the kernel decides that connection by itself."""
WINDOW_SUMMARY = "interactive firewall: the questions in a window"
WINDOW_DESCRIPTION = """\
Shows the questions of tinysnitch in a window on X11 and Wayland, with the same
keys as in a terminal. It brings the parts of Qt that it needs."""


def build_packages(source: Source, wheel: Path, work: Path, target: Path, chosen: Sequence[str] = ()) -> None:
    """All, or those that are chosen, as `deb-amd64`."""
    recipe = read_recipe(source)
    version = wheel.name.split("-")[1]
    for machine, name in MACHINES.items():
        forms = [form for form in FORMATS if not chosen or f"{form.name}-{machine}" in chosen]
        if not forms:
            continue
        wheels, qt = fetch(source, recipe, name, work / f"wheels-{machine}")
        for form in forms:
            maker = Maker(source, recipe, form, machine, version)
            folder = work / f"{form.name}-{machine}"
            firewall = maker.make_firewall([wheel, *wheels], folder / PROJECT)
            for package in (firewall, maker.make_window(qt, folder / WINDOW)):
                write_package(package, form, source, folder / f"{package.name}.work", target)


def fetch(source: Source, recipe: Recipe, machine: str, folder: Path) -> tuple[list[Path], list[Path]]:
    """The wheels of the firewall, for all versions of Python, and Qt's, which are of one kind for all of them."""
    pins, qt_pins = (source.folder / "packaging" / name for name in ("wheels.txt", "wheels-window.txt"))
    wheels = [wheel for python in recipe.pythons for wheel in download(pins, machine, python, folder)]
    return wheels, download(qt_pins, machine, recipe.pythons[-1], folder)


@dataclass(frozen=True)
class Maker:
    """Makes what is in the packages of one machine and format, in a folder that takes the place of /."""

    source: Source
    recipe: Recipe
    form: Format
    machine: str
    version: str

    def make_firewall(self, wheels: list[Path], root: Path) -> Package:
        for wheel in wheels:
            unpack(wheel, root / PACKAGES)
        write_environment(root, self.form.python.format(last=self.recipe.pythons[-1]), self.recipe.pythons)
        write_service_files(self.source, root)
        write_pages(self.source, root, PROJECT, self.form.zsh)
        self._finish(root, PROJECT)
        needs = self.recipe.needs[self.form.name]
        return Package(PROJECT, self.version, self.machine, SUMMARY, DESCRIPTION, root, needs, self.form.steps)

    def make_window(self, wheels: list[Path], root: Path) -> Package:
        for wheel in wheels:
            unpack(wheel, root / PACKAGES, (*self.recipe.qt, "shiboken6/"))
        write_window_files(self.source, root)
        self._finish(root, WINDOW)
        needs = [self.form.same_version.format(self.version), *self.recipe.window_needs[self.form.name]]
        steps = self.form.window_steps
        return Package(WINDOW, self.version, self.machine, WINDOW_SUMMARY, WINDOW_DESCRIPTION, root, needs, steps)

    def _finish(self, root: Path, name: str) -> None:
        write_copyright(root, self.version, root / DOC / name / "copyright")
        if self.form is DEB:
            write_debian_files(self.source, root, name, self.version)
