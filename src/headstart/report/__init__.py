"""The report: one self-contained page that says what a run found out, and shows why."""

from headstart.report.inputs import mistakes
from headstart.report.page import write

__all__ = ["mistakes", "write"]
