"""Whether this processor's matrix products give a row the same bits in any batch: what identical samples in any company rest on.

They do where this was developed (x86, MKL). Elsewhere another library may choose its kernel by the size of the batch; a small
model then computes in float64, where what is left (1e-15) does not change a draw in any practical number of tokens.
"""

from __future__ import annotations

from itertools import pairwise

import torch

from openr_data.engines.local_cache import GRAIN, ROWS, Place, RowCache, multiple
from openr_data.engines.local_model import LocalModel

_ROWS, _SOURCE, _CAPACITY = 64, 64, 384
_SHORT = (16, 32, 64, 128)


@torch.inference_mode()
def rows_agree(model: LocalModel) -> bool:
    """Logits of the same rows at several batch sizes, spans and places in the batch, compared bit by bit.

    The keys come from one long prefill, or from several short ones that begin anywhere, as they do behind a kept prompt.
    """
    generator = torch.Generator().manual_seed(0)
    prompt = torch.randint(model.vocabulary, (_CAPACITY,), generator=generator).to(model.device)
    positions = torch.randint(1, 300, (_ROWS,), generator=generator).to(model.device)
    cache = RowCache(model.layers, _ROWS + 1, _CAPACITY)

    def logits(at: torch.Tensor, span: int) -> torch.Tensor:
        for row in range(len(at)):
            cache.copy(_SOURCE, row, 304)
        return model.forward(prompt[at][:, None], cache, Place(at[:, None], span)).clone()

    _prefill(model, cache, prompt, [0, 304])
    whole = logits(positions, _CAPACITY)
    fewer = all(torch.equal(logits(positions[:count], 304), whole[:count]) for count in (16, 48))
    turned = torch.equal(logits(positions.flip(0), 320), whole.flip(0))
    # Few keys are a product of another shape: some processors choose another kernel for 16 of them.
    near = {span: positions % (span - 1) for span in _SHORT}
    short = all(torch.equal(logits(at, span), logits(at, _CAPACITY)) for span, at in near.items())
    for others in (0, 3, _ROWS // 4 - 1):
        _prefill(model, cache, prompt, [0, 32, 37, 50, 208, 304], others)
        if not torch.equal(logits(positions, 320), whole):
            return False
    return fewer and turned and short


def _prefill(model: LocalModel, cache: RowCache, prompt: torch.Tensor, cuts: list[int], others: int = 0) -> None:
    """As the batch does it: the tokens of a part and the keys they look at are filled up to a multiple of 16.

    Short parts are computed in one pass with those of `others` other prompts.
    """
    for start, stop in pairwise(cuts):
        length = multiple(stop - start, ROWS)
        rows = torch.tensor([*range(others if length <= 2 * ROWS else 0), _SOURCE], device=prompt.device)
        positions = torch.arange(start, start + length, device=prompt.device).repeat(len(rows), 1)
        ids = prompt[positions + torch.arange(len(rows) - 1, -1, -1, device=prompt.device)[:, None]]
        model.forward(ids, cache, Place(positions, multiple(start + length, GRAIN), rows))
