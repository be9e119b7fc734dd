"""Changes of a training picture that keep its label: mirror, small shifts and zooms, brightness and contrast."""

import torch
from torch import Tensor
from torch.nn import functional

SHIFT, ZOOM, LIGHT = 0.08, 0.10, 0.15  # shares of the side, of the scale, of brightness and contrast


def augment(batch: Tensor, seed: int, *, mirror: bool = True) -> Tensor:
    """(n, H, W, 3) uint8 -> the same shape; one affine resampling for the whole batch. Same seed, same change.

    Args:
        batch: prepared pictures.
        seed: of chance.
        mirror: every second one, on average; else none, and nothing else changes.
    """
    chance = torch.Generator().manual_seed(seed)
    n = len(batch)

    def uniform(reach: float) -> Tensor:
        return (torch.rand(n, generator=chance) * 2 - 1) * reach

    flipped = torch.where((torch.rand(n, generator=chance) < 0.5) & mirror, -1.0, 1.0)
    scale = 1 + uniform(ZOOM)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = flipped * scale, scale
    theta[:, 0, 2], theta[:, 1, 2] = uniform(2 * SHIFT), uniform(2 * SHIFT)
    contrast, light = (1 + uniform(LIGHT)).view(n, 1, 1, 1), uniform(LIGHT).view(n, 1, 1, 1) * 255
    planes = batch.permute(0, 3, 1, 2).float()
    grid = functional.affine_grid(theta, list(planes.shape), align_corners=False)
    moved = functional.grid_sample(planes, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    mean = moved.mean(dim=(1, 2, 3), keepdim=True)
    lit = torch.addcmul(mean * (1 - contrast) + light + 0.5, moved, contrast)  # half a level up: uint8 cuts off
    return lit.clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
