"""What importing costs, kept low: libraries that no stage uses are not found."""

import gc
import sys
from importlib.machinery import PathFinder


class _Needed(PathFinder):
    """Finds no library that others import where it is installed, and no stage uses.

    pyarrow brings pandas, the Trainer brings datasets, nltk brings SciPy's statistics, each as
    much time as the rest of a short stage. All three do without where it is not there.
    """

    UNUSED = ("pandas", "datasets", "scipy.stats")

    @classmethod
    def find_spec(cls, fullname, *where):
        return None if fullname in cls.UNUSED else super().find_spec(fullname, *where)


def import_less() -> None:
    """From now on in this process, import only what stages use, and fast."""
    # Imports make hundreds of thousands of objects that stay; to look for garbage among them after
    # every 700 of them is a fifth of the time that a training takes to start.
    gc.set_threshold(100_000)
    if PathFinder in sys.meta_path:
        sys.meta_path[sys.meta_path.index(PathFinder)] = _Needed
