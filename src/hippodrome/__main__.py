"""``python -m hippodrome``: the command ``hippodrome``."""

from __future__ import annotations

import sys

from hippodrome.apps.ipcluster import hippodrome

if __name__ == "__main__":
    sys.exit(hippodrome())
