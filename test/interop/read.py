"""python-tuf as a client of our repository: read.py FOLDER ROOT SERVER TARGET...

Refreshes from the root in the file ROOT, keeps what it trusts below FOLDER, and prints {"root": N, "targets": {TARGET: content or null}}.
"""

import json
import sys
from pathlib import Path

from tuf.api.metadata import Metadata, Root
from tuf.ngclient import Updater

folder, root, server, *targets = sys.argv[1:]
place = Path(folder)
(place / "targets").mkdir(parents=True, exist_ok=True)
updater = Updater(
    metadata_dir=str(place / "metadata"),
    metadata_base_url=f"{server}/repo/metadata/",
    target_dir=str(place / "targets"),
    target_base_url=f"{server}/repo/targets/",
    bootstrap=Path(root).read_bytes(),
)
updater.refresh()
found = {}
for target in targets:
    info = updater.get_targetinfo(target)
    found[target] = None if info is None else Path(updater.download_target(info)).read_text()
trusted = Metadata[Root].from_file(str(place / "metadata" / "root.json")).signed
print(json.dumps({"root": trusted.version, "targets": found}))
