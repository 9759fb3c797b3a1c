"""The pass for training on a CPU equals the library's; dropout keeps the expectation."""

import pytest
import tiny_model
import torch
from transformers import T5Config, T5ForConditionalGeneration

from workflow_scripts.model import packed
from workflow_scripts.model.batches import IGNORED
from workflow_scripts.model.packed import BITS, Attention, Dropout, Look, Pass, noise, spans

torch.set_num_threads(1)  # as in a training


def make(dropout=0.0, **more):
    torch.manual_seed(1)
    shape = tiny_model.SHAPE | {"num_layers": 2, "dropout_rate": dropout} | more
    return T5ForConditionalGeneration(T5Config(vocab_size=40, **shape)).train()


def make_batch(padding_in_loss):
    """Four rows, the first and the third with one source."""
    torch.manual_seed(2)
    lengths = torch.tensor([[70], [40], [70], [1]])
    mask = (torch.arange(70) < lengths).long()
    ids = torch.randint(3, 40, (4, 70)) * mask
    ids[2] = ids[0]
    real = torch.arange(20) < torch.tensor([[20], [3], [17], [9]])
    labels = torch.randint(3, 40, (4, 20)).where(real, 0 if padding_in_loss else IGNORED)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def by_library(model, batch):
    logits = model(**batch, use_cache=False).logits.float()
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), batch["labels"].flatten(), ignore_index=IGNORED, reduction="none"
    )
    return losses.view(batch["labels"].shape)


def by_us(model, batch):
    return packed.token_losses(model, batch, IGNORED)


def losses_and_gradients(way, model, batch, precision="fp32"):
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        losses = way(model, batch)
    losses.sum().backward()
    return losses.detach(), {name: weight.grad for name, weight in model.named_parameters()}


def distances(gradients, reference):
    """The relative distance between two gradients, by weight."""
    return torch.stack(
        [(gradients[name] - each).norm() / each.norm() for name, each in reference.items()]
    )


@pytest.mark.parametrize("padding_in_loss", [False, True])
@pytest.mark.parametrize("shape", [{}, {"feed_forward_proj": "gated-gelu"}])
def test_every_loss_and_every_gradient_equal_the_librarys(padding_in_loss, shape):
    batch = make_batch(padding_in_loss)
    reference, of_library = losses_and_gradients(by_library, make(**shape), batch)
    losses, of_ours = losses_and_gradients(by_us, make(**shape), batch)
    torch.testing.assert_close(losses, reference, rtol=1e-5, atol=1e-5)
    assert distances(of_ours, of_library).max() < 1e-5


def test_under_bf16_it_is_as_far_from_float32_as_the_library():
    batch = make_batch(False)
    loss, exact = losses_and_gradients(by_library, make(), batch)
    library_loss, of_library = losses_and_gradients(by_library, make(), batch, "bf16")
    our_loss, of_ours = losses_and_gradients(by_us, make(), batch, "bf16")
    for each in (library_loss, our_loss):
        assert each.sum().item() == pytest.approx(loss.sum().item(), rel=5e-3)
    assert distances(of_ours, exact).mean() < 1.5 * distances(of_library, exact).mean()


@pytest.mark.parametrize(("dropout", "read"), [(0.0, 3), (0.1, 4)])
def test_equal_sources_are_read_once_where_nothing_is_dropped(dropout, read, monkeypatch):
    """Dropout would tell equal rows apart."""
    model, seen, plain = make(dropout), [], Pass.stack

    def stack(self, stack, ids, rows, *more):
        seen.append(len(rows))
        return plain(self, stack, ids, rows, *more)

    monkeypatch.setattr(Pass, "stack", stack)
    by_us(model, make_batch(True))
    by_us(model.eval(), make_batch(True))
    assert seen == [read, 4, 3, 4]  # sources, targets; in evaluation nothing is dropped


def test_dropout_of_a_whole_pass_rests_on_torchs_seed():
    model, batch = make(0.1), make_batch(False)

    def losses(seed):
        torch.manual_seed(seed)
        return by_us(model, batch)

    assert losses(3).equal(losses(3))
    assert not losses(3).equal(losses(4))
    reference = by_library(model.eval(), batch)
    torch.testing.assert_close(by_us(model, batch), reference, rtol=1e-5, atol=1e-5)


def test_it_suits_a_t5_on_a_cpu_that_keeps_its_numbers_for_the_gradient():
    model = make()
    assert packed.suits(model)
    model.activation_checkpointing_enable()
    assert not packed.suits(model)


def test_few_shapes_of_products_are_compiled(monkeypatch):
    """Each new shape costs oneDNN a compilation: lengths are filled up to multiples."""
    model, lengths, plain = make(), set(), Pass.linear

    def linear(self, numbers, *layers):
        lengths.add(len(numbers))
        return plain(self, numbers, *layers)

    monkeypatch.setattr(Pass, "linear", linear)
    for length in range(33, 65):
        ids = torch.full((1, length), 5)
        labels = torch.full((1, length // 4), 6)
        batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
        by_us(model, batch)
    assert lengths == {64, 16}


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
    q, k, v = (torch.randn(6, 2, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))
    bias = torch.randn(2, 4, 4, dtype=torch.float64, requires_grad=True)
    looks = [Look(row, row, seen) for row, seen in zip(spans([4, 2]), (3, 2), strict=True)]

    def attend(dropout):
        return Attention.apply(q, k, v, bias, looks, Dropout(dropout))

    draws = torch.stack([attend(0.1) for _ in range(1000)])
    error = draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - attend(0.0)).abs() < 5 * error).all()

    def seeded(*tensors):
        torch.manual_seed(5)
        return Attention.apply(*tensors, looks, Dropout(0.3))

    assert torch.autograd.gradcheck(seeded, (q, k, v, bias))


def test_dropout_of_numbers_keeps_the_expectation():
    torch.manual_seed(6)
    numbers = torch.randn(100_000)
    dropped = Dropout(0.1)(numbers)
    kept = dropped != 0
    assert kept.double().mean().item() == pytest.approx(0.9, abs=0.005)
    torch.testing.assert_close(dropped[kept], numbers[kept] / 0.9, rtol=1e-4, atol=0)
    assert Dropout(0.0)(numbers) is numbers
