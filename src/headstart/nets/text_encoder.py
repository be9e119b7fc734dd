"""Any encoder of token numbers as a net that takes a tensor and gives one."""

from torch import Tensor, nn


class TextEncoder(nn.Module):
    """An encoder of transformers without its pooler and classifier.

    Args:
        model: takes `input_ids` and `attention_mask`, gives `last_hidden_state`.
        pad: the number of an empty position.
    """

    def __init__(self, model: nn.Module, pad: int) -> None:
        super().__init__()
        self.model = model.float()
        self.pad = pad

    def forward(self, tokens: Tensor) -> Tensor:
        """(w, t) int64 token numbers -> (w, t, D)."""
        mask = (tokens != self.pad).long()
        return self.model(input_ids=tokens, attention_mask=mask, return_dict=True)["last_hidden_state"]
