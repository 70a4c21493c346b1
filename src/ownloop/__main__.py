"""`python -m ownloop`: the same commands as `ownloop`."""

import sys

from ownloop.cli import main

sys.exit(main())
