"""The report: one self-contained page that says what a run found out, and shows why."""

from headstart.report.page import write
from headstart.report.run import mistakes

__all__ = ["mistakes", "write"]
