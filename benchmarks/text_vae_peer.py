"""The LSTM VAE of `text_vae.py` in plain PyTorch, as its users write it; for the comparison of speeds."""

import time

import torch
from torch import nn


def torch_epoch(vocab_size, latent_size, options):
    """A function that trains an LSTM VAE for an epoch over batches, and returns the seconds."""

    class VAE(nn.Module):
        def __init__(self):
            super().__init__()
            e, h = options.embedding_size, options.hidden_size
            self.encoder_embedding, self.embedding = nn.Embedding(vocab_size, e), nn.Embedding(vocab_size, e)
            self.encoder, self.heads = nn.LSTM(e, h, batch_first=True), nn.Linear(h, 2 * latent_size)
            self.decoder = nn.LSTM(e + latent_size, h, batch_first=True)
            self.state, self.out, self.drop = (
                nn.Linear(latent_size, h, bias=False),
                nn.Linear(h, vocab_size),
                nn.Dropout(0.3),
            )

        def forward(self, ids, lengths):
            packed = nn.utils.rnn.pack_padded_sequence(
                self.drop(self.encoder_embedding(ids)), lengths, batch_first=True, enforce_sorted=False
            )
            mean, log_variance = self.heads(self.encoder(packed)[1][0][0]).chunk(2, dim=-1)
            z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
            x = self.drop(self.embedding(ids[:, :-1]))
            cell = self.state(z)[None]
            x = torch.cat([x, z[:, None].expand(-1, x.shape[1], -1)], dim=-1)
            logits = self.out(self.drop(self.decoder(x, (torch.tanh(cell), cell))[0]))
            loss = nn.functional.cross_entropy(
                logits.reshape(-1, vocab_size), ids[:, 1:].reshape(-1), ignore_index=0, reduction="sum"
            )
            kl = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum()
            return (loss + kl) / len(ids)

    torch.manual_seed(0)
    model = VAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def epoch(batches):
        begin = time.perf_counter()
        for batch in batches:
            ids = torch.from_numpy(batch["token_ids"].astype("int64"))
            optimizer.zero_grad()
            model(ids, torch.from_numpy(batch["padding_mask"].sum(axis=1))).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
        return time.perf_counter() - begin

    return epoch
