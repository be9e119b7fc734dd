"""Small untrained nets over a text's word vectors: a convolution (Kim 2014) and a recurrent net (Cho et al. 2014).

Read as they are, before they learn, they are random encoders: on a fixed table of word vectors those are a strong
baseline themselves (Wieting and Kiela 2019, arXiv 1901.10444). Both end in the maximum over a text's words.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

OUT, SPAN = 128, 3


class WordCnn(nn.Module):
    """A convolution over three words and ReLU (Kim 2014, arXiv 1408.5882, with one width of filters).

    Args:
        width: of the word vectors.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(width, OUT, SPAN, padding=SPAN // 2)
        self.activation = nn.ReLU()

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        """(w, t, D) word vectors and (w, t) where there is a word -> (w, OUT)."""
        found = self.activation(self.convolution(vectors.transpose(1, 2))).transpose(1, 2)
        return largest(found, real)


class WordGru(nn.Module):
    """A bidirectional GRU (Cho et al. 2014, arXiv 1406.1078); it ends where the text does, whatever is filled up.

    Args:
        width: of the word vectors.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gru = nn.GRU(width, OUT // 2, batch_first=True, bidirectional=True)

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        """(w, t, D) word vectors and (w, t) where there is a word -> (w, OUT)."""
        lengths = real.sum(dim=1).clamp(min=1)
        packed = pack_padded_sequence(vectors, lengths.cpu(), batch_first=True, enforce_sorted=False)
        found, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=real.shape[1])
        return largest(found, real)


def largest(values: Tensor, real: Tensor) -> Tensor:
    """(w, t, D) and (w, t) -> (w, D): the largest over real positions, 0 where there is none."""
    found = values.masked_fill(~real.unsqueeze(2), -torch.inf).amax(dim=1)
    return found.where(real.any(dim=1, keepdim=True), 0)


TOPS: Mapping[str, Callable[[int], nn.Module]] = {"cnn": WordCnn, "gru": WordGru}
