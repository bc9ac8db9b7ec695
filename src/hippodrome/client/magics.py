"""ipyparallel's name for the module of the magics."""

from hippodrome.magics.px import ParallelMagics as ParallelMagics
