"""Faults: trackers."""

from genmod.scaffold.templates.tracker import TemplateTracker
from planted import caught_by


@caught_by("check_tracking", "check_tracker_resume", "check_tracker_place")
class FormatsEveryNumber(TemplateTracker):
    def write(self, row):
        super().write({name: f"{value:.3g}" for name, value in row.items() if name != "split"})


@caught_by("check_tracker_resume")
class Appends(TemplateTracker):
    def begin(self, rows):
        self._path = self.directory / "metrics.txt"


@caught_by("check_tracker_place")
class WritesElsewhere(TemplateTracker):
    def begin(self, rows):
        super().begin(rows)
        (self.directory.parent / "latest.txt").write_text("here")
