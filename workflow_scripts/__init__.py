"""essence: the report "Fine-Tuning On Essence", reproduced, examined and taken further."""
