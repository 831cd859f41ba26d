"""`python -m tests.blinded`: see tests/blinded/campaign.py."""

import sys

from tests.blinded.campaign import main

if __name__ == "__main__":
    sys.exit(main())
