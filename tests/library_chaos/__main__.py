"""`python -m tests.library_chaos`: see tests/library_chaos/run.py."""

import sys

from tests.library_chaos.run import main

if __name__ == "__main__":
    sys.exit(main())
