"""Everything behind the page: the folder, the training that follows it, and the work that takes longer."""

import threading
from dataclasses import dataclass, field
from typing import Any

from roadclear.deploy.serve.bodies import BodyLimits
from roadclear.deploy.studio.follower import Follower
from roadclear.deploy.studio.frames import FrameSieve
from roadclear.deploy.studio.hub import Hub
from roadclear.deploy.studio.jobs import Job
from roadclear.deploy.studio.library import Library, Listing
from roadclear.deploy.studio.pictures import Pictures
from roadclear.deploy.studio.ports import Editor, Exporter, TakenAway, Trainer
from roadclear.deploy.studio.trying import Trying
from roadclear.images.limits import MAX_FILE_BYTES
from roadclear.utils.progress import ProgressCallback
from roadclear.utils.text import printable


@dataclass(eq=False)
class Studio:
    """Everything behind the page.

    Attributes:
        editor: changes to the folder.
        trainer: training that follows the folder.
        exporter: maker of what is taken away.
        allow_private: whether collecting may ask hosts of the private network, for tests.
    """

    editor: Editor
    trainer: Trainer
    exporter: Exporter
    allow_private: bool = False
    hub: Hub = field(default_factory=Hub)
    pictures: Pictures = field(default_factory=Pictures)
    taken: TakenAway | None = None

    def __post_init__(self) -> None:
        self.library = Library(self.editor.folder, lambda: self.editor.labels, self.editor.unlabelled)
        self.follower = Follower(self.library, self.trainer, self.hub)
        self.trying = Trying(self.library, self.trainer)
        self.collecting, self.exporting = Job("collect", self.hub), Job("export", self.hub)
        self.sieves: dict[str, FrameSieve] = {}
        self.limits = BodyLimits(MAX_FILE_BYTES)
        self.lock = threading.Lock()

    def look(self) -> Listing:
        """List the folder as it is now, and tell every page of what has changed."""
        before = self.library.listing.version
        listing = self.library.refresh()
        if listing.version != before:
            self.hub.publish("photos", version=listing.version)
        return listing

    def changed(self) -> int:
        """Look at the folder, tell every page, and train. Return the number of the listing."""
        version = self.look().version
        self.follower.changed()
        return version

    def export(self, progress: ProgressCallback) -> dict[str, Any]:
        """Take the model away, and remember what may be downloaded."""
        self.taken = self.exporter(progress)
        return taken_values(self.taken)


def taken_values(taken: TakenAway) -> dict[str, Any]:
    """Convert what was taken away to plain values."""
    return {
        "folder": printable(str(taken.folder)),
        "commands": [printable(command) for command in taken.commands],
        "files": {name: path.stat().st_size for name, path in taken.files.items()},
        "refused": taken.refused,
    }
