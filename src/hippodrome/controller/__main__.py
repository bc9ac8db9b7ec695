"""``python -m hippodrome.controller``: the program ``ipcontroller``."""

import sys

from hippodrome.apps.ipcontroller import main

if __name__ == "__main__":
    sys.exit(main())
