"""``python -m hippodrome.cluster``: the program ``ipcluster``."""

import sys

from hippodrome.apps.ipcluster import main

if __name__ == "__main__":
    sys.exit(main())
