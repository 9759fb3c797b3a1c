"""How many rows are computed at a time: as many as fit into the memory of the GPU."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, write_json
from workflow_scripts.model.progress import say
from workflow_scripts.runs import Batch

Fitted = TypeVar("Fitted")


class MicroBatch:
    """A divisor of the batch size; it is halved when memory runs out.

    As many micro batches are accumulated before each step as make a batch, so the batch that is
    learned from stays the same. What fitted is remembered in a file beside the checkpoints, so that
    a resumed training starts with it.
    """

    def __init__(self, batch_size: int, folder: Path):
        self.batch_size = batch_size
        self.file = folder / "micro_batch.json"
        self.size = read_json(self.file) if self.file.is_file() else batch_size
        self.notes: list[str] = []

    def largest_that_fits(self, fit: Callable[[int], Fitted]) -> Fitted:
        """`fit(size)` with the first size that does not run out of the GPU's memory.

        Raises EssenceError when a single row is too much.
        """
        import torch

        while True:
            try:
                return fit(self.size)
            except torch.OutOfMemoryError:
                pass  # the model can only be freed once the error and its frames are gone
            self._halve()
            gc.collect()
            torch.cuda.empty_cache()

    def _halve(self) -> None:
        smaller = [n for n in range(1, self.size // 2 + 1) if self.batch_size % n == 0]
        if not smaller:
            raise EssenceError(
                "the GPU has too little memory for a single row. Lower the recipe's source_tokens "
                "or target_tokens, or set model.device to cpu."
            )
        self.size = smaller[-1]
        write_json(self.file, self.size)
        rows = f"{self.size} rows at a time, {self.batch_size} in a batch"
        self.notes.append(f"out of GPU memory: going on with {rows}")
        say(self.notes[-1])

    @property
    def facts(self) -> Batch:
        return Batch(
            effective=self.batch_size,
            micro=self.size,
            accumulation=self.batch_size // self.size,
        )
