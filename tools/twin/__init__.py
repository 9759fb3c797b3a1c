"""The twin: an embedded data set with databases, made from a seed, in the form of the real one."""
