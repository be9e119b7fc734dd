"""A net for the rows of tables: an embedding of every category, slopes for numbers, two hidden layers.

A row is (2, columns): the numbers, NaN where there is none, and what stands in each cell (`headstart.linear.cells`).
Categories are found by hash, so no list of them is needed; equal categories of a column share a vector that is learned
(Guo and Berkhahn 2016, arXiv 1604.06737). Beside that the net may carry what simpler models of the same table have
learned: a linear one, and boosted trees. They are stages of their own, and never learn again.
"""

import torch
from torch import Tensor, nn

from headstart.linear.cells import NOTHING, NUMBER

SLOTS = 256  # of columns; further ones share them
BUCKETS = 2**14  # of categories; that two share one is rare
WIDTH, OUT = 128, 64
PRIME = 1_000_003
LEAST = 1e-8  # added to variances


class TableNet(nn.Module):
    """Embedding -> two hidden layers -> classifier; and, of a source table, its simpler models.

    Args:
        classes: outputs of the classifier; 0 has none.
        columns: of the source table; 0 carries no simpler models.
        indicators: categories that those look at.
        trees, nodes: of the boosted trees.
    """

    def __init__(self, classes: int = 0, columns: int = 0, indicators: int = 0, trees: int = 0, nodes: int = 0) -> None:
        super().__init__()
        self.row = Row(columns, indicators) if columns else None
        self.linear = Scores(columns + indicators, classes) if columns else None
        self.trees = Trees(trees, nodes, classes) if columns else None
        self.columns = Cells()
        self.hidden = nn.Sequential(nn.GELU(), nn.Linear(WIDTH, WIDTH), nn.GELU())
        self.upper = nn.Sequential(nn.Linear(WIDTH, OUT), nn.GELU())
        self.head = nn.Linear(OUT, classes) if classes else nn.Identity()

    def forward(self, rows: Tensor) -> Tensor:
        """(n, 2, columns) -> (n, classes) logits, or (n, OUT) features."""
        numbers, what = rows[:, 0], rows[:, 1].round().long()
        if self.row is not None and self.linear is not None and self.trees is not None and not self.training:
            self.linear(self.row(numbers, what))
            self.trees(numbers, self.row.indicators(what))
        return self.head(self.upper(self.hidden(self.columns(numbers, what))))

    def get_classifier(self) -> nn.Module:
        """The last layer, as timm has it."""
        return self.head

    def reset_classifier(self, num_classes: int) -> None:
        """Another last layer, as timm has it."""
        self.head = nn.Linear(OUT, num_classes) if num_classes else nn.Identity()


class Cells(nn.Module):
    """The cells of a row, each as a vector, summed: numbers on scales that a norm learns, categories embedded."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(SLOTS, eps=LEAST)
        self.slopes = nn.Linear(SLOTS, WIDTH)
        self.embedding = nn.Embedding(BUCKETS, WIDTH)
        nn.init.normal_(self.embedding.weight, std=SLOTS**-0.5)

    def forward(self, numbers: Tensor, what: Tensor) -> Tensor:
        """(n, columns) numbers and what stands there -> (n, WIDTH)."""
        at = torch.arange(numbers.shape[1], device=numbers.device)
        usual = self.norm.running_mean[at % SLOTS] if self.norm.running_mean is not None else torch.zeros(1)
        squashed = torch.asinh(numbers).where(what == NUMBER, usual)  # where there is no number, it tells nothing
        slots = numbers.new_zeros(len(numbers), SLOTS).index_add(1, at % SLOTS, squashed)
        category = self.embedding((at * PRIME + what) % BUCKETS) * (what != NUMBER).unsqueeze(2)
        return self.slopes(self.norm(slots)) + category.sum(dim=1)


class Row(nn.Module):
    """The row as linear models read it: numbers in deviations of the source, an indicator a category.

    Args:
        columns: of the source table.
        count: of categories.
    """

    def __init__(self, columns: int, count: int) -> None:
        super().__init__()
        self.mean, self.scale = nn.Buffer(torch.zeros(columns)), nn.Buffer(torch.ones(columns))
        self.column = nn.Buffer(torch.zeros(count, dtype=torch.int64))
        self.category = nn.Buffer(torch.full((count,), NOTHING, dtype=torch.int64))

    def indicators(self, what: Tensor) -> Tensor:
        """(n, columns) -> (n, V) 1 where the category stands in its column."""
        return (what[:, self.column] == self.category).float()

    def forward(self, numbers: Tensor, what: Tensor) -> Tensor:
        """(n, columns) numbers and what stands there -> (n, columns + V); what is missing is the mean."""
        scaled = ((numbers - self.mean) / self.scale).where(what == NUMBER, 0.0)
        return torch.cat([scaled, self.indicators(what)], dim=1)


class Scores(nn.Module):
    """A linear model that does not learn.

    Args:
        features: that it reads.
        classes: that it scores.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Buffer(torch.zeros(classes, features)), nn.Buffer(torch.zeros(classes))

    def forward(self, row: Tensor) -> Tensor:
        """(n, features) -> (n, classes)."""
        return nn.functional.linear(row, self.weight, self.bias)


class Trees(nn.Module):
    """Boosted trees that do not learn: `headstart.linear.forest`, as a module.

    Args:
        count: T trees, an output's after the other's.
        nodes: N of a tree at most.
        outputs: that they score.
    """

    def __init__(self, count: int, nodes: int, outputs: int) -> None:
        super().__init__()
        whole = torch.arange(nodes).expand(count, nodes)
        self.feature, self.gap = (nn.Buffer(torch.zeros(count, nodes, dtype=torch.int64)) for _ in range(2))
        self.left, self.right = nn.Buffer(whole.clone()), nn.Buffer(whole.clone())
        self.threshold, self.value = (nn.Buffer(torch.zeros(count, nodes, dtype=torch.float64)) for _ in range(2))
        self.outputs = outputs

    def forward(self, numbers: Tensor, indicators: Tensor) -> Tensor:
        """(n, columns) numbers, NaN where there is none, and (n, V) -> (n, outputs) scores."""
        rows = torch.cat([numbers, indicators], dim=1).double()
        tree = torch.arange(len(self.feature), device=rows.device)
        node = torch.zeros(len(rows), len(tree), dtype=torch.int64, device=rows.device)
        while True:
            seen = rows.gather(1, self.feature[tree, node])
            goes = (self.gap[tree, node] == 1).where(seen.isnan(), seen <= self.threshold[tree, node])
            after = self.left[tree, node].where(goes, self.right[tree, node])
            if torch.equal(after, node):
                break
            node = after
        return self.value[tree, node].float().unflatten(1, (-1, self.outputs)).sum(dim=1)
