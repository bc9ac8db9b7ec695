"""The ranges that numbers and names in messages keep; decoding refuses the rest.

Each bound is where some use of a value ends: a database holds integers of 64 bits, a calendar ends
with the year 9999, and names are kept for long after what they name has gone.
"""

from __future__ import annotations

import sys
from typing import Annotated, Final

from msgspec import Meta

MOST_NAME: Final = 1024  # characters
SECRET_BYTES: Final = 16  # by which peers are known again
MOST_INSTANT: Final = 2e11  # seconds since the epoch
MOST_DURATION: Final = 5e10  # seconds; added to an instant it is one that a calendar knows
SIGNALS: Final = range(1, 65)  # no system that we know has more
# Nobody may put modules of their own in the place of these, which engines need.
ENGINES_MODULES: Final = sys.stdlib_module_names | {"cloudpickle", "hippodrome", "msgspec", "zmq"}

Int = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Instant = Annotated[float, Meta(ge=0.0, le=MOST_INSTANT)]  # and so never NaN
Duration = Annotated[float, Meta(ge=0.0, le=MOST_DURATION)]
Name = Annotated[str, Meta(max_length=MOST_NAME)]
Proof = Annotated[bytes, Meta(max_length=64)]


def instant(value: float) -> float:
    """Return *value* if it is an `Instant`; else 0.0, which nobody takes for one."""
    return value if 0.0 <= value <= MOST_INSTANT else 0.0


def duration(value: float) -> float:
    """Return *value* if it is a `Duration`, else 0.0."""
    return value if 0.0 <= value <= MOST_DURATION else 0.0
