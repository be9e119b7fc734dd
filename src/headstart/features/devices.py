"""Where a net runs. One place decides, so that the loop never asks."""

import os
import sys

import torch
from torch import nn


def choose(name: str = "auto") -> torch.device:
    """The device of that name; "auto" is the accelerator that torch sees, else the processor."""
    if name != "auto":
        return torch.device(name)
    if torch.accelerator.is_available():
        found = torch.accelerator.current_accelerator()
        if found is not None:
            return found
    return torch.device("cpu")


def place(net: nn.Module, device: torch.device | None = None) -> torch.device:
    """Move the net there, its convolutions in channels-last order (half as long a step on the processor)."""
    where = device or choose()
    # Module.to takes both at once, but its annotations know only one of them.
    net.to(device=where)
    net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return where


def of(net: nn.Module) -> torch.device:
    """Where the net lies."""
    first = next(net.parameters(), None)
    return torch.device("cpu") if first is None else first.device


def machine() -> str:
    """The cores that this process may use, the accelerator and the memory, in words."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    where = choose()
    named = torch.cuda.get_device_name(where) if where.type == "cuda" else where.type
    accelerator = "no accelerator" if where.type == "cpu" else named
    said = [f"{cores} core{'s' * (cores != 1)}", accelerator]
    if sys.platform != "win32":
        said.append(f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB of memory")
    return ", ".join(said)
