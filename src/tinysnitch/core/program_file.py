"""What people are told of the file behind a program. No rule looks at the package: who may write files may fake it."""

import msgspec


class ProgramFile(msgspec.Struct, frozen=True):
    package: str | None = None  # that owns it; "" when none does, None when nobody knows
    sha256: str | None = None  # hex, of the executable: what `sha256=` in a rule demands
