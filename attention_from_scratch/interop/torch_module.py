"""SASRec as a torch.nn.Module, to serve a model in PyTorch that was trained here.

Its state dict has the layout of pmixer/SASRec.pytorch, so weights from there load as well.
"""

import math

import torch
from torch import nn

from attention_from_scratch.settings import EPS


class PointWiseFeedForward(nn.Module):
    """The feed-forward layer: two convolutions of width 1 with relu between."""

    def __init__(self, dim: int, dropout: float):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(dim, dim, 1), nn.Conv1d(dim, dim, 1)
        self.dropout1, self.dropout2 = nn.Dropout(dropout), nn.Dropout(dropout)

    def forward(self, x):
        """(B, L, D) -> (B, L, D)."""
        hidden = torch.relu(self.dropout1(self.conv1(x.transpose(1, 2))))
        return self.dropout2(self.conv2(hidden)).transpose(1, 2)


class SASRecModule(nn.Module):
    """The network of `networks/sasrec.py` with norm "pre" or "post".

    Parameters
    ----------
    n_items, max_len, dim, n_blocks, n_heads, dropout, norm, mask_padding
        As in `SASRec` and `sasrec.encode`.
    """

    def __init__(
        self,
        n_items: int,
        max_len: int,
        dim: int,
        n_blocks: int,
        n_heads: int,
        dropout: float = 0.0,
        *,
        norm: str = "pre",
        mask_padding: bool = True,
    ):
        super().__init__()
        self.norm, self.mask_padding, self.n_heads = norm, mask_padding, n_heads
        self.item_emb = nn.Embedding(n_items + 1, dim, padding_idx=0)
        self.pos_emb = nn.Embedding(max_len + 1, dim, padding_idx=0)
        self.emb_dropout = nn.Dropout(dropout)

        def norms():
            return nn.ModuleList(nn.LayerNorm(dim, eps=EPS) for _ in range(n_blocks))

        self.attention_layernorms, self.forward_layernorms = norms(), norms()
        self.attention_layers = nn.ModuleList(
            nn.MultiheadAttention(dim, n_heads, dropout, batch_first=True) for _ in range(n_blocks)
        )
        self.forward_layers = nn.ModuleList(
            PointWiseFeedForward(dim, dropout) for _ in range(n_blocks)
        )
        self.last_layernorm = nn.LayerNorm(dim, eps=EPS)

    def encode(self, ids):
        """(B, L) ids, padded on the left with 0 -> (B, L, D)."""
        last, given = self.pos_emb.num_embeddings, ids.shape[1]
        if not 1 <= given < last:
            raise ValueError(f"ids has length {given}, but must be of 1..{last - 1}")
        if not self.mask_padding:  # where it is attended to, the amount of it matters
            ids = nn.functional.pad(ids, (last - 1 - given, 0))
        length, real = ids.shape[1], (ids != 0)
        # positions are counted from the end
        positions = torch.arange(last - length, last, device=ids.device) * real
        x = self.item_emb(ids) * math.sqrt(self.item_emb.embedding_dim) + self.pos_emb(positions)
        x = self.emb_dropout(x)
        hidden = torch.ones(length, length, dtype=torch.bool, device=ids.device).triu(1)
        if self.mask_padding:
            # Padding sees itself, or torch's fast path would give NaN; its rows are zeroed below.
            itself = torch.eye(length, dtype=torch.bool, device=ids.device)
            hidden = ((hidden | ~real[:, None]) & ~itself).repeat_interleave(self.n_heads, dim=0)
        for i in range(len(self.attention_layers)):
            x = self.block(i, x, hidden)
            if self.mask_padding:
                x = x * real[..., None]
        return self.last_layernorm(x)[:, -given:]

    def block(self, i, x, hidden):
        """Block number i of attention and feed-forward layer: (B, L, D) -> (B, L, D)."""

        def attend(y):
            return self.attention_layers[i](y, y, y, attn_mask=hidden, need_weights=False)[0]

        before, after = self.attention_layernorms[i], self.forward_layernorms[i]
        if self.norm == "pre":
            x = x + attend(before(x))
            return x + self.forward_layers[i](after(x))
        x = before(x + attend(x))
        return after(x + self.forward_layers[i](x))

    def forward(self, ids):
        """Scores of all items as the next event, (B, L) -> (B, V + 1); -inf for padding."""
        scores = self.encode(ids)[:, -1] @ self.item_emb.weight.T
        padding = torch.zeros_like(scores, dtype=torch.bool)
        padding[:, 0] = True
        return scores.masked_fill(padding, -torch.inf)
