"""The public flagd testbed: where it is, its scenarios, and which of them this client can run."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gherkin.parser import Parser
from gherkin.pickles.compiler import Compiler

MODES = ("rpc", "in-process", "file")

# The crate that carries the testbed, and the manifest that depends on it.
CRATE = "open-feature-flagd"
MANIFEST = Path(__file__).parent.parent / "rust" / "Cargo.toml"

# Why scenarios with these tags are not run, in any mode.
NOT_RUN = {
    "@targetURI": "the Python provider has no targetUri option",
    "@unixsocket": "the Python provider has no socketPath option",
    "@deprecated": "superseded in the same feature by @no-default-variant",
    "@fractional-v1": "fractional generation v1: neither the server nor the provider computes it",
}
# The same for steps: what the scenario needs around the server.
NEEDS = {
    "a ssl flagd provider": "TLS listener not served yet",
    "a forbidden flagd provider": "needs a proxy in front that refuses every call",
}
# A file provider watches a file: it has no connection that goes stale, and no server context.
NOT_RUN_IN_FILE_MODE = {
    "@grace": "the file resolver has no grace period",
}


class NoTestbedError(Exception):
    """The testbed's folder was not found; the message says how to provide it."""


@dataclass(frozen=True)
class Step:
    text: str
    table: list[dict[str, str]]


@dataclass(frozen=True)
class Scenario:
    feature: str
    name: str
    example: int
    tags: frozenset[str]
    steps: tuple[Step, ...]

    def asks_server(self, mode: str) -> bool:
        """False for what the provider does alone: reading its options, or a local file."""
        return mode != "file" and any(s.text.endswith(" flagd provider") for s in self.steps)

    def why_not_run(self, mode: str, server_generation: str) -> str | None:
        rules = NOT_RUN | (NOT_RUN_IN_FILE_MODE if mode == "file" else {})
        for tag in sorted(self.tags & rules.keys()):
            return rules[tag]
        for step in self.steps:
            if step.text in NEEDS:
                return NEEDS[step.text]
        return self._other_generation(mode, server_generation)

    def _other_generation(self, mode: str, server_generation: str) -> str | None:
        asked = {t.removeprefix("@fractional-") for t in self.tags} & {"v2", "v3"}
        who, computed = ("server", server_generation) if mode == "rpc" else ("provider", "v3")
        if not asked or computed in asked:
            return None
        return f"fractional generation {min(asked)}: the {who} computes {computed}"


def folder() -> Path:
    """FLAGD_TESTBED_DIR, or the testbed inside the crate, as cargo knows it."""
    if configured := os.environ.get("FLAGD_TESTBED_DIR"):
        found = Path(configured)
    else:
        found = _from_cargo()
    if not (found / "gherkin").is_dir():
        raise NoTestbedError(f"{found} has no gherkin folder; check FLAGD_TESTBED_DIR")
    return found


def _from_cargo() -> Path:
    command = ["cargo", "metadata", "--format-version=1", f"--manifest-path={MANIFEST}"]
    try:
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as failed:
        detail = getattr(failed, "stderr", "") or failed
        raise NoTestbedError(
            f"set FLAGD_TESTBED_DIR, or make `{' '.join(command)}` work: {detail}"
        ) from failed
    for package in json.loads(answer.stdout)["packages"]:
        if package["name"] == CRATE:
            return Path(package["manifest_path"]).parent / "flagd-testbed"
    raise NoTestbedError(f"{MANIFEST} does not depend on {CRATE}; set FLAGD_TESTBED_DIR")


def scenarios(root: Path) -> Iterator[Scenario]:
    """Every scenario of every feature, outlines expanded, backgrounds included."""
    for path in sorted((root / "gherkin").glob("*.feature")):
        document = Parser().parse(path.read_text(encoding="utf-8"))
        examples: dict[str, int] = {}
        for pickle in Compiler().compile({**document, "uri": path.name}):
            name = pickle["name"]
            examples[name] = examples.get(name, 0) + 1
            yield Scenario(
                feature=path.stem,
                name=name,
                example=examples[name],
                tags=frozenset(tag["name"] for tag in pickle["tags"]),
                steps=tuple(Step(s["text"], _table(s)) for s in pickle["steps"]),
            )


def _table(step: Mapping[str, Any]) -> list[dict[str, str]]:
    """A step's table as one mapping per row, named by the table's first row."""
    rows = step.get("argument", {}).get("dataTable", {}).get("rows", [])
    cells = [[cell["value"] for cell in row["cells"]] for row in rows]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[1:]]
