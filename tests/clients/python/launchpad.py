"""Our stand-in for the testbed's launchpad: runs the server with one of its configurations.

It keeps the folder layout that the configurations name: `rawflags/` holds a copy of every flag
file, `flags/allFlags.json` all of them in one, except those whose name starts with `selector-`.
"""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

from sidecar import Sidecar

CHANGING = "changing-flag"


class Launchpad:
    def __init__(self, testbed: Path, folder: Path) -> None:
        self._testbed = testbed
        self._folder = folder
        self._raw = folder / "rawflags"
        self.all_flags = folder / "flags" / "allFlags.json"
        self.all_flags.parent.mkdir()
        shutil.copytree(testbed / "flags", self._raw, copy_function=shutil.copyfile)
        self._write_all_flags()
        self._configuration = ""
        self._sidecar: Sidecar | None = None
        self._outage: threading.Timer | None = None
        self._failure: Exception | None = None

    @property
    def sidecar(self) -> Sidecar:
        assert self._sidecar is not None, "no configuration started"
        return self._sidecar

    def start(self, configuration: str) -> None:
        """Has the server run with this configuration; leaves it alone if it already does."""
        if self._sidecar is not None and self._sidecar.running:
            if configuration == self._configuration:
                return
            self._sidecar.kill()
        text = (self._testbed / "launchpad" / "configs" / f"{configuration}.json").read_text()
        self._sidecar = Sidecar(self._folder, *_arguments(json.loads(text))).start()
        self._configuration = configuration

    def path(self, source: str) -> Path:
        """Where the file is that a configuration names as its source."""
        return self._folder / source

    def change_flag(self) -> None:
        """Moves the default variant of `changing-flag` between foo and bar."""
        path = self._raw / f"{CHANGING}.json"
        document = json.loads(path.read_text())
        flag = document["flags"][CHANGING]
        flag["defaultVariant"] = "bar" if flag["defaultVariant"] == "foo" else "foo"
        path.write_text(json.dumps(document))
        self._write_all_flags()

    def lose_connection(self, seconds: float) -> None:
        """Kills the server and takes its file away, brings both back later on the same ports."""
        if self._sidecar is not None:
            self._sidecar.kill()
        self.all_flags.unlink()
        self._outage = threading.Timer(seconds, self._come_back)
        self._outage.start()

    def settle(self) -> None:
        """Waits for the end of an outage, so that the next scenario starts in order."""
        if self._outage is not None:
            self._outage.join()
            self._outage = None
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        self.settle()
        if self._sidecar is not None:
            self._sidecar.kill()

    def _come_back(self) -> None:
        try:
            self._write_all_flags()
            if self._sidecar is not None:
                self._sidecar.start()
        except Exception as failed:  # handed to the scenario by `settle`
            self._failure = failed

    def _write_all_flags(self) -> None:
        combined: dict[str, Any] = {}
        for path in sorted(self._raw.glob("*.json")):
            if not path.name.startswith("selector-"):
                _merge(combined, json.loads(path.read_text()))
        fresh = self.all_flags.with_suffix(".new")
        fresh.write_text(json.dumps(combined))
        fresh.rename(self.all_flags)


def _merge(into: dict[str, Any], other: dict[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _arguments(configuration: dict[str, Any]) -> list[str]:
    """A flagd configuration file as the command line that says the same."""
    arguments: list[str] = []
    for name, value in configuration.items():
        match value:
            case bool():
                arguments.append(f"--{name}={str(value).lower()}")
            case dict():
                arguments.extend(f"--{name}={key}={each}" for key, each in value.items())
            case list():
                arguments.append(f"--{name}={json.dumps(value)}")
            case _:
                arguments.append(f"--{name}={value}")
    return arguments
