"""What people are told of a program's file. No rule tests the package: whoever may write the file may fake it."""

import msgspec


class ProgramFile(msgspec.Struct, frozen=True):
    package: str | None = None  # that owns the file; "": none does; None: not known
    sha256: str | None = None  # hex, of the executable: what `sha256=` in a rule demands
