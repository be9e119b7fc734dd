"""Xception of Keras."""

from collections.abc import Iterator
from itertools import chain, repeat

from torch import Tensor, nn

from headstart.sources.mappings.keras import CONV, NORM, SEPARABLE, Arrays, Row, children, converted, numbered


def xception(names: Arrays, model: nn.Module) -> dict[str, Tensor]:
    """Xception; the convolutions and norms beside its blocks have no names of their own and are taken in order."""
    return converted(names, model, (*_ends(), *_blocks(model), *_beside(names, model)))


def _ends() -> Iterator[Row]:
    for number in (1, 2):
        yield Row(f"block1_conv{number}", f"conv{number}", CONV)
        yield Row(f"block1_conv{number}_bn", f"bn{number}", NORM)
        yield Row(f"block14_sepconv{number}", f"conv{number + 2}", SEPARABLE)
        yield Row(f"block14_sepconv{number}_bn", f"bn{number + 2}", NORM)


def _blocks(model: nn.Module) -> Iterator[Row]:
    """Keras counts the stem as the first block."""
    for block in range(1, 13):
        inside = [name for name, module in children(model, f"block{block}.rep") if [*module.parameters()]]
        for at, name in enumerate(inside):
            layer = f"block{block + 1}_sepconv{at // 2 + 1}"
            yield Row(f"{layer}_bn" if at % 2 else layer, name, NORM if at % 2 else SEPARABLE)


def _beside(names: Arrays, model: nn.Module) -> Iterator[Row]:
    modules = [name.removesuffix(".skip") for name, _ in model.named_modules() if name.endswith(".skip")]
    for module, layer in zip(modules, _unnamed(names, r"conv(?:olution)?2d", "conv2d"), strict=False):
        yield Row(layer, f"{module}.skip", CONV)
    for module, layer in zip(modules, _unnamed(names, r"batch_?normalization", "batch_normalization"), strict=False):
        yield Row(layer, f"{module}.skipbn", NORM)


def _unnamed(names: Arrays, pattern: str, plain: str) -> Iterator[str]:
    """The layers in order; where the file has too few, the name that is said to be missing."""
    return chain(numbered(names, pattern), repeat(plain))
