"""GRU4Rec in PyTorch: one GRU over the embedded events.

The same model as `models.pipeline.gru4rec`: same shapes, same places of dropout. The item table is
the last layer too, which is left to the loss. It is spared a thing: padding stands before the
first event, and is not hidden from the state.
"""

import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    """Embed, then the state after each event."""

    def __init__(self, n_items: int, dim: int, dropout: float = 0.0):
        super().__init__()
        self.items = nn.Embedding(n_items + 1, dim, padding_idx=0)
        nn.init.normal_(self.items.weight, std=0.02)
        self.gru = nn.GRU(dim, dim, batch_first=True)
        self.dropout = dropout

    def forward(self, ids):
        """(B, L) -> (B, L, D)."""
        events = F.dropout(self.items(ids), self.dropout, self.training)
        states, _ = self.gru(events)
        return F.dropout(states, self.dropout, self.training)
