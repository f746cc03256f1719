"""``python -m sync.config ini|table``: the text of config.ini, or the documentation's table."""

import sys

from sync.config.texts import key_table, sample

_TEXTS = {"ini": sample, "table": key_table}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in _TEXTS:  # noqa: PLR2004  one argument
        sys.exit("usage: python -m sync.config ini|table")
    sys.stdout.write(_TEXTS[sys.argv[1]]())
