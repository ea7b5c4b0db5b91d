"""Plausible names, lists and rules. They are always the same: generated with a fixed seed."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_TOPS = ("com", "net", "org", "co.uk", "de", "io")
_PROGRAMS = 1000
_LABELS = 500


def generate_names(count: int, seed: int = 1) -> Iterator[str]:
    """A random domain; half of them have one more label in front, out of a few common ones."""
    random = Random(seed)
    labels = ["", *(f"{_word(random)}." for _ in range(_LABELS))]
    for number in range(count):
        label = random.choice(labels) if random.random() < 0.5 else ""
        yield f"{label}{_word(random)}{number:x}.{random.choice(_TOPS)}"


def _word(random: Random) -> str:
    return "".join(random.choices(_LETTERS, k=random.randint(3, 12)))


def write_list(path: Path, count: int) -> None:
    """The names as a hosts file."""
    with path.open("w") as file:
        file.writelines(f"0.0.0.0 {name}\n" for name in generate_names(count))


def generate_rules(count: int, seed: int = 2) -> Iterator[str]:
    """Rules of all kinds of remotes, seven in ten for one of a thousand programs."""
    random = Random(seed)
    programs = [f"/usr/bin/{_word(random)}" for _ in range(_PROGRAMS)]
    for name in generate_names(count, seed):
        first, second = random.randint(11, 223), random.randint(0, 255)
        remotes = (name, name, name, name, f"*.{name}", f"{first}.{second}.1.2", f"{first}.{second}.0.0/16")
        port = random.choice(("443 tcp", "80 tcp", "- -", "80,443 tcp", "53 udp"))
        program = random.choice(programs) if random.random() < 0.7 else "-"
        yield f"{random.choice(('allow', 'deny'))} {random.choice(remotes)} {port} {program}"
