"""Send a bucket's events to the queue: ``3gsync triggers add`` with the list beside this file."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from sync.cli import main  # noqa: E402  the folder of the clone must be on the path first

LIST = str(HERE / "prefix_list.txt")
sys.exit(main(["triggers", "add", "--default-prefix-list", LIST, *sys.argv[1:]]))
