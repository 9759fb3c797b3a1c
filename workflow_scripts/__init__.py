"""essence: the report "Fine-Tuning On Essence", reproduced, examined and taken further."""

__version__ = "0.1.0"
