"""Darknet's `.weights`: a header, then the float32 of every layer in the cfg's order, and not a byte more.

Little-endian. A convolution is stored as biases, then scales, means and variances if it has batch norm, then weights
(out, in / groups, k, k); a fully connected layer as biases, weights (out, in), then scales, means and variances.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.nets.darknet import Darknet
from headstart.nets.darknet_layers import Connected, Convolutional

NARROW, WIDE = "<3iI", "<3iQ"  # the second since version 0.2
LATEST = 100_000  # no part of a version is larger; other kinds of files begin with larger numbers
MARK = 1000  # versions beyond say that fully connected weights are stored (in, out)
FLOAT = np.dtype("<f4")
Stored = tuple[Tensor, ...]


@dataclass(frozen=True)
class Header:
    """What a file of weights begins with.

    Attributes:
        major, minor, revision: of the Darknet that wrote it.
        seen: how many images it was trained on so far.
    """

    major: int = 0
    minor: int = 2
    revision: int = 0
    seen: int = 0

    @property
    def layout(self) -> str:
        """For `struct`."""
        recent = self.major * 10 + self.minor >= 2 and max(self.major, self.minor) < MARK
        return WIDE if recent else NARROW

    @property
    def transposed(self) -> bool:
        """Whether fully connected weights are stored (in, out)."""
        return self.major > MARK or self.minor > MARK


def read(path: Path, net: Darknet) -> Header:
    """Fill a net with the weights of a file, which must fit it to the last byte.

    Raises:
        UserError: no header, fewer or more floats than the net has, a value that is not finite. The net is then
            partly filled.
    """
    with path.open("rb") as file:
        header = _header(file.read(struct.calcsize(WIDE)), path.name)
    begin = struct.calcsize(header.layout)
    _check_length(path.stat().st_size - begin, net, path.name)  # before anything of an unknown size is read
    values = np.fromfile(path, FLOAT, offset=begin)
    at = 0
    for name, tensors in stored(net):
        for tensor in tensors:
            part = values[at : at + tensor.numel()]
            if not np.isfinite(part).all():
                do = "Use another file: this one is damaged, or its training diverged."
                raise UserError(f"finite weights in {name} of {path.name}", "NaN or infinity", do)
            with torch.no_grad():
                tensor.copy_(torch.from_numpy(_turned(part, tensor, header).astype(np.float32)))
            at += tensor.numel()
    return header


def write(net: Darknet, header: Header) -> bytes:
    """The bytes of a file of weights: those that were read, if nothing changed since."""
    parts = [struct.pack(header.layout, header.major, header.minor, header.revision, header.seen)]
    for _, tensors in stored(net):
        for tensor in tensors:
            values = tensor.detach().cpu().contiguous().numpy().astype(FLOAT)
            turned = values.T if header.transposed and values.ndim == 2 else values
            parts.append(turned.tobytes())
    return b"".join(parts)


def floats(net: Darknet) -> int:
    """How many numbers a file of this net's weights holds."""
    return sum(tensor.numel() for _, tensors in stored(net) for tensor in tensors)


def stored(net: Darknet) -> Iterator[tuple[str, Stored]]:
    """(name, tensors in the file's order) of every layer; most kinds have none."""
    for name, module in net.in_order():
        order = ORDERS.get(type(module))
        yield name, () if order is None else order(module)


def _convolutional(layer: nn.Module) -> Stored:
    assert isinstance(layer, Convolutional)
    return (*_biases(layer.norm, layer.conv.bias), *_statistics(layer.norm), layer.conv.weight)


def _connected(layer: nn.Module) -> Stored:
    assert isinstance(layer, Connected)
    return (*_biases(layer.norm, layer.linear.bias), layer.linear.weight, *_statistics(layer.norm))


ORDERS: Mapping[type[nn.Module], Callable[[nn.Module], Stored]] = {Convolutional: _convolutional, Connected: _connected}


def _biases(norm: nn.Module, bias: Tensor | None) -> Stored:
    """Darknet adds its biases after batch norm, if there is one."""
    found = norm.bias if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d) else bias
    return () if found is None else (found,)


def _statistics(norm: nn.Module) -> Stored:
    if not isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
        return ()
    found = (norm.weight, norm.running_mean, norm.running_var)
    return tuple(tensor for tensor in found if tensor is not None)


def _turned(part: NDArray[np.float32], tensor: Tensor, header: Header) -> NDArray[np.float32]:
    """The values in the shape of their tensor."""
    if header.transposed and tensor.ndim == 2:
        return part.reshape(tensor.shape[::-1]).T
    return part.reshape(tensor.shape)


def _header(data: bytes, name: str) -> Header:
    """The header, read as its own version says."""
    wanted = f"a Darknet file of weights in {name}, which begins with a version"
    do = "Give the .weights that belongs to the .cfg."
    if len(data) < struct.calcsize(NARROW):
        raise UserError(wanted, f"{len(data)} bytes", do)
    header = Header(*struct.unpack_from(NARROW, data))
    version = (header.major, header.minor, header.revision)
    if not all(0 <= part < LATEST for part in version):
        raise UserError(wanted, str(version), do)
    if len(data) < struct.calcsize(header.layout):
        raise UserError(wanted, f"{len(data)} bytes", do)
    return Header(*struct.unpack_from(header.layout, data))


def _check_length(length: int, net: Darknet, name: str) -> None:
    """The file ends exactly where the net does."""
    wanted = floats(net)
    if length == wanted * FLOAT.itemsize:
        return
    found, rest = divmod(length, FLOAT.itemsize)
    came = f"{found:,} floats" + (f" and {rest} bytes" if rest else "")
    raise UserError(f"{wanted:,} floats in {name}", came, _advice(found, rest, net))


def _advice(found: int, rest: int, net: Darknet) -> str:
    """What to do about another number of floats; where a layer ends there, the file may be meant to."""
    total = 0
    for at, (_, tensors) in enumerate(stored(net), start=1):
        total += sum(tensor.numel() for tensor in tensors)
        if tensors and total == found and not rest:
            return f"Give the .cfg of these weights, or name them NAME.conv.{at} to take only the first {at} layers."
    return "Give the .cfg that belongs to these weights, or fetch the file again."
