"""The report: self-contained pages that say what runs and comparisons found out, and show why."""

from headstart.report.page import write

__all__ = ["write"]
