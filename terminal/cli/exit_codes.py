"""What the `terminal` command's exit codes mean."""

OK = 0
NO = 1  # the answer is "no": a refused code, a broken chain, a check that failed
USAGE = 2  # the command line was not understood (argparse's own)
SETTINGS = 3  # a configuration or parameter set that cannot be used
DEVICE = 4  # a device, a file or head office could not be reached
JOURNAL = 5  # the journal cannot be trusted: the process ended so that it is verified at the next start
IN_USE = 6  # another terminal is running on this journal: end that one, or give this one its own state_dir
BUG = 70  # ours; the journal recovers at the next start

EPILOG = """exit codes:
  0  done, or the answer is yes
  1  the answer is no: a refused code, a broken chain, a failed check
  2  the command line was not understood
  3  a configuration or parameter set that cannot be used
  4  a device, a file or head office could not be reached
  5  the journal cannot be trusted; it is verified at the next start
  6  another terminal is running on this journal
 70  a bug of ours; the journal recovers at the next start"""
