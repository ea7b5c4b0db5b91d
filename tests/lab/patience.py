"""How much slower than a usual machine this one is: an emulated one needs TINYSNITCH_LAB_PATIENCE=20."""

import os

PATIENCE = float(os.environ.get("TINYSNITCH_LAB_PATIENCE", "1"))
