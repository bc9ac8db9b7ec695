"""``python -m hippodrome.engine``: the program ``ipengine``."""

import sys

from hippodrome.apps.ipengine import main

if __name__ == "__main__":
    sys.exit(main())
