"""Empty nets that no library builds as packaged weights need them."""

from torch import nn

from headstart.nets.digit_cnn import DigitCnn
from headstart.nets.picture_cnn import PictureCnn
from headstart.nets.table_net import TableNet
from headstart.nets.text_cnn import TextCnn
from headstart.nets.word_table import WordTable
from headstart.sources.card import Architecture

TABLE_SIZES = ("classes", "columns", "indicators", "trees", "nodes")


def digit_cnn(architecture: Architecture) -> nn.Module:  # noqa: ARG001 - there is one of it
    """The tutorials' net for MNIST."""
    return DigitCnn().eval()


def picture_cnn(architecture: Architecture) -> nn.Module:  # noqa: ARG001 - there is one of it
    """The small net that pictures without labels are learned by."""
    return PictureCnn().eval()


def text_cnn(architecture: Architecture) -> TextCnn:  # noqa: ARG001 - there is one of it
    """The small net that a text control trains from scratch."""
    net = TextCnn()
    net.eval()
    return net


def word_table(architecture: Architecture) -> WordTable:
    """A table of so many words, empty, with the net that stands on it."""
    asked = architecture.options
    net = WordTable(int(asked["words"]), int(asked["width"]), str(asked.get("top", "")))
    net.eval()
    return net


def table_net(architecture: Architecture) -> TableNet:
    """The net of a source table, empty; without options, one that no table has taught."""
    asked = {name: int(architecture.options.get(name, 0)) for name in TABLE_SIZES}
    net = TableNet(*asked.values())
    net.eval()
    return net
