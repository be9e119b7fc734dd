"""What a source, a strategy or a modality must satisfy. Run these in your own tests; each raises an AssertionError."""

from headstart.testing.modalities import check_modality
from headstart.testing.sources import check_source
from headstart.testing.strategies import check_strategy

__all__ = ["check_modality", "check_source", "check_strategy"]
