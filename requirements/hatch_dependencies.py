"""Build hook: the wheel's dependencies are the lines of run.in, so that they are stated once."""

from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class RunDependencies(MetadataHookInterface):
    """Fills `project.dependencies` from requirements/run.in."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the dependencies in `metadata`."""
        lines = (Path(self.root) / "requirements" / "run.in").read_text().splitlines()
        stripped = (line.split("#", 1)[0].strip() for line in lines)
        metadata["dependencies"] = [line for line in stripped if line]
