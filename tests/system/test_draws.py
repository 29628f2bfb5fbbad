"""What a draw keeps beside its values goes along with its pieces."""

import pytest
import torch

from genmod.system.draws import drawn, logit_of


@pytest.mark.parametrize("split", [torch.Tensor.split, torch.Tensor.split_with_sizes])
def test_pieces_of_a_draw_keep_theirs(split):
    logits = torch.tensor([[0.5, 40.0, 50.0]])
    one, two = split(drawn(logits.sigmoid(), {"logit": logits}), [1, 2], -1)
    assert torch.equal(logit_of(one), logits[:, :1])
    assert torch.equal(logit_of(two), logits[:, 1:])
