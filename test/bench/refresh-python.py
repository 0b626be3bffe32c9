"""python-tuf for the benchmark of refreshes: a line of JSON in for each, {"folder", "root", "server", "target"}, its milliseconds out."""

import json
import sys
import time
from pathlib import Path

from tuf.ngclient import Updater

print("ready", flush=True)
for line in sys.stdin:
    order = json.loads(line)
    folder = Path(order["folder"])
    (folder / "targets").mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    updater = Updater(
        metadata_dir=str(folder),
        metadata_base_url=f"{order['server']}/repo/metadata/",
        target_dir=str(folder / "targets"),
        target_base_url=f"{order['server']}/repo/targets/",
        bootstrap=Path(order["root"]).read_bytes() if order["target"] else None,
    )
    updater.refresh()
    if order["target"]:
        info = updater.get_targetinfo(order["target"])
        Path(updater.download_target(info)).read_bytes()
    print((time.perf_counter() - start) * 1000, flush=True)
