"""SASRec in PyTorch, as somebody would write it who wants it fast on a CPU.

The same model as `models/sasrec.py` with norm "pre": same shapes, same places of dropout. Histories
fill their batch here, so there is no padding to hide.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, dim: int, n_heads: int, dropout: float, attention_dropout: float):
        super().__init__()
        self.n_heads, self.p, self.attention_p = n_heads, dropout, attention_dropout
        self.attention_norm = nn.LayerNorm(dim, eps=1e-8)
        self.feed_forward_norm = nn.LayerNorm(dim, eps=1e-8)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x):
        """(B, L, D) -> (B, L, D)."""
        b, length, dim = x.shape
        heads = self.qkv(self.attention_norm(x)).view(b, length, 3, self.n_heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        p = self.attention_p if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, dropout_p=p, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).reshape(b, length, dim))
        hidden = F.dropout(F.relu(self.up(self.feed_forward_norm(x))), self.p, self.training)
        return x + F.dropout(self.down(hidden), self.p, self.training)


class Model(nn.Module):
    """Embed, attend, block by block."""

    def __init__(
        self, n_items, max_len, dim, n_blocks, n_heads, dropout=0.0, attention_dropout=None
    ):
        super().__init__()
        attention_dropout = dropout if attention_dropout is None else attention_dropout
        self.items = nn.Embedding(n_items + 1, dim, padding_idx=0)
        self.positions = nn.Parameter(0.02 * torch.randn(max_len, dim))
        nn.init.normal_(self.items.weight, std=0.02)
        self.dropout = dropout
        self.blocks = nn.ModuleList(
            Block(dim, n_heads, dropout, attention_dropout) for _ in range(n_blocks)
        )
        self.norm = nn.LayerNorm(dim, eps=1e-8)

    def forward(self, ids):
        """(B, L) -> (B, L, D)."""
        x = math.sqrt(self.items.embedding_dim) * self.items(ids)
        x = F.dropout(x + self.positions[-ids.shape[1] :], self.dropout, self.training)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)
