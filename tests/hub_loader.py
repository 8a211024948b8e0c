"""A process that loads a published data set with the unmodified `datasets` library and prints every row as JSON.

python hub_loader.py OWNER/NAME|FOLDER [REVISION]
"""

from __future__ import annotations

import json
import sys
from typing import Any

import datasets


def main() -> None:
    name = sys.argv[1]
    options: dict[str, Any] = {"revision": sys.argv[2]} if len(sys.argv) > 2 else {}
    datasets.disable_progress_bars()
    found = {
        config: {split: list(rows) for split, rows in datasets.load_dataset(name, config, **options).items()}
        for config in datasets.get_dataset_config_names(name, **options)
    }
    found["default"] = {split: list(rows) for split, rows in datasets.load_dataset(name, **options).items()}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
