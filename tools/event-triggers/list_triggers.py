"""Show what buckets send where: ``3gsync triggers list``, without names those of the list here."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from sync.cli import main  # noqa: E402  the folder of the clone must be on the path first

LIST = str(HERE / "prefix_list.txt")
sys.exit(main(["triggers", "list", "--default-prefix-list", LIST, *sys.argv[1:]]))
