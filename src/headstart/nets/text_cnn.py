"""A small net for texts, to be trained from scratch: hashed words, and convolutions over three of them (Kim 2014)."""

from torch import Tensor, nn

BUCKETS = 2**15  # of words; that two share one is rare among the words of a small data set
WIDTH, OUT, SPAN = 64, 128, 3


class TextCnn(nn.Module):
    """Embedding -> convolution -> ReLU (Kim 2014, arXiv 1408.5882); what pools over words stands in the card.

    Words need no list: each is numbered by its hash, so the same net reads any language.
    """

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(BUCKETS, WIDTH)
        self.convolution = nn.Conv1d(WIDTH, OUT, SPAN, padding=SPAN // 2)
        self.activation = nn.ReLU()

    def forward(self, tokens: Tensor) -> Tensor:
        """(w, t) int64 hashes of words, 0 where there is none -> (w, t, D)."""
        words = self.words(tokens % BUCKETS) * (tokens != 0).unsqueeze(2)
        return self.activation(self.convolution(words.transpose(1, 2))).transpose(1, 2)
