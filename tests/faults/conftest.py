"""Makes `faults` a package that tests and killed processes import alike."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
