"""Queues the objects of S3 Inventory files: ``3gsync inventory send`` under its old roof."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sync.cli import main

if __name__ == "__main__":
    sys.exit(main(["inventory", "send", *sys.argv[1:]]))
