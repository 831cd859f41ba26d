"""`python -m tests.days`: see tests/days/run.py, which a process of its own can import by name."""

import sys

from tests.days.run import main

if __name__ == "__main__":
    sys.exit(main())
