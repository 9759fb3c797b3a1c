"""The declared shape of every file that one stage writes and another reads.

One module for each part of the pipeline; a shape is validated when it is read, and a file that does
not fit is named together with the key that is wrong.
"""
