"""The layers for training on a CPU equal the library's; dropout keeps the expectation."""

import pytest
import tiny_model
import torch
from torch import nn
from transformers import T5Config, T5ForConditionalGeneration

from workflow_scripts.model.cpu_layers import BITS, Dropout, attention, noise, use_cpu_layers

torch.set_num_threads(1)  # as in a training


def make(dropout=0.0):
    torch.manual_seed(1)
    shape = tiny_model.SHAPE | {"num_layers": 2, "dropout_rate": dropout}
    return T5ForConditionalGeneration(T5Config(vocab_size=40, **shape)).train()


def loss_and_gradients(model, precision):
    torch.manual_seed(2)
    ids, labels = torch.randint(3, 40, (3, 70)), torch.randint(3, 40, (3, 20))
    mask = (torch.arange(70) < torch.tensor([[70], [40], [1]])).long()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        loss = model(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False).loss
    loss.backward()
    return loss.item(), {name: weight.grad for name, weight in model.named_parameters()}


def distances(gradients, reference):
    """The relative distance between two gradients, by weight."""
    return torch.stack(
        [(gradients[name] - each).norm() / each.norm() for name, each in reference.items()]
    )


def test_loss_and_every_gradient_equal_the_librarys():
    library, ours = make(), make()
    library.set_attn_implementation("eager")
    use_cpu_layers(ours)
    assert ours.state_dict().keys() == library.state_dict().keys()
    loss, reference = loss_and_gradients(library, "fp32")
    ours_loss, gradients = loss_and_gradients(ours, "fp32")
    assert ours_loss == pytest.approx(loss, rel=1e-6)
    assert distances(gradients, reference).max() < 1e-5


def test_under_bf16_they_are_as_far_from_float32_as_the_librarys():
    library, ours = make(), make()
    library.set_attn_implementation("eager")
    use_cpu_layers(ours)
    loss, exact = loss_and_gradients(make(), "fp32")
    library_loss, of_library = loss_and_gradients(library, "bf16")
    ours_loss, of_ours = loss_and_gradients(ours, "bf16")
    assert ours_loss == pytest.approx(loss, rel=5e-3)
    assert library_loss == pytest.approx(loss, rel=5e-3)
    assert distances(of_ours, exact).mean() < 1.5 * distances(of_library, exact).mean()


def test_noise_is_below_zero_as_often_as_asked_and_starts_from_torchs_seed():
    count, dropped = 100_000, round(0.1 * 2**BITS)
    torch.manual_seed(3)
    first = noise(torch.Size([count]), dropped)
    torch.manual_seed(3)
    assert first.equal(noise(torch.Size([count]), dropped))
    below = (first < 0).double()
    deviation = (0.1 * 0.9 / count) ** 0.5
    assert below.mean().item() == pytest.approx(0.1, abs=4 * deviation)
    for gap in (1, 2, 3, 4):  # four numbers come from one draw: they must not know of each other
        together = (below[gap:] * below[:-gap]).mean().item()
        assert together == pytest.approx(0.01, abs=4 * (0.01 * 0.99 / count) ** 0.5)


def test_dropout_of_attention_keeps_the_expectation_and_its_gradient_is_of_what_was_kept():
    torch.manual_seed(4)
    shape = (1, 2, 6, 4)
    q, k, v = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(3))
    bias = torch.randn(1, 2, 6, 6, dtype=torch.float64, requires_grad=True)

    def attend(dropout):
        return attention(None, q, k, v, None, position_bias=bias, dropout=dropout)[0]

    draws = torch.stack([attend(0.1) for _ in range(1000)])
    error = draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - attend(0.0)).abs() < 5 * error).all()

    def seeded(*tensors):
        torch.manual_seed(5)
        parts = dict(zip(("position_bias", "query", "key", "value"), tensors, strict=True))
        return attention(None, attention_mask=None, dropout=0.3, **parts)[0]

    assert torch.autograd.gradcheck(seeded, (bias, q, k, v))


def test_dropout_of_numbers_keeps_the_expectation_and_rests_in_evaluation():
    torch.manual_seed(6)
    layer, numbers = Dropout(0.1), torch.randn(100_000)
    dropped = layer(numbers)
    kept = dropped != 0
    assert kept.double().mean().item() == pytest.approx(0.9, abs=0.005)
    torch.testing.assert_close(dropped[kept], numbers[kept] / 0.9, rtol=1e-4, atol=0)
    assert layer.eval()(numbers) is numbers


def test_every_dropout_of_the_model_is_replaced():
    model = make(0.1)
    use_cpu_layers(model)
    layers = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    assert layers and all(type(layer) is Dropout and layer.p == 0.1 for layer in layers)
