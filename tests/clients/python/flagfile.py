"""Flag files that a test edits while the server watches them, written as people write files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parent / "flags"

Flags = dict[str, Any]


class FlagFile:
    """A copy of one of the sample files, replaced by a rename as careful programs do."""

    def __init__(self, folder: Path, sample: str) -> None:
        self.path = folder / sample
        self.write((SAMPLES / sample).read_text())

    @property
    def uri(self) -> str:
        return f"file:{self.path.name}"

    def write(self, text: str) -> None:
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(self.path)

    def edit(self, change: Callable[[Flags], None]) -> None:
        document = json.loads(self.path.read_text())
        change(document["flags"])
        self.write(json.dumps(document))

    def set_default(self, key: str, variant: str) -> None:
        self.edit(lambda flags: flags[key].update(defaultVariant=variant))


class WrittenInPlace(FlagFile):
    """Truncated and written again, as an editor or `cp` does: a reader may see half of it."""

    def write(self, text: str) -> None:
        self.path.write_text(text)


class MountedConfigMap(FlagFile):
    """A Kubernetes mount: the file is a link through `..data`, which moves to a new folder."""

    _generation = 0

    def write(self, text: str) -> None:
        folder = self.path.parent
        current = folder / "..data"
        previous = current.resolve() if current.exists() else None
        self._generation += 1
        fresh = folder / f"..generation-{self._generation}"
        fresh.mkdir()
        (fresh / self.path.name).write_text(text)
        link = folder / "..data_tmp"
        link.symlink_to(fresh.name)
        link.rename(current)
        if previous is None:
            self.path.symlink_to(Path("..data") / self.path.name)
        else:
            shutil.rmtree(previous)
