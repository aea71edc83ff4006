"""The benchmark: this program's budgets, and a general SQL exporter beside it on the same file. `python -m bench`."""
