"""The `terminal` command with one part replaced: `python -m tests.planted NAME run CONFIG`.

For rigs that need the terminal in a process of its own; the product has no such switch.
"""

import sys

from terminal.__main__ import main
from tests.plants import PROCESS_PLANTS

if __name__ == "__main__":
    with PROCESS_PLANTS[sys.argv[1]]():
        sys.exit(main(sys.argv[2:]))
