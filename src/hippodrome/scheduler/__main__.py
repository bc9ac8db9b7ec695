"""The scheduler's process; started by the hub, never by hand."""

import sys

from hippodrome.scheduler.launch import main

sys.exit(main())
