"""ipyparallel's name for the module of the magics."""

from hippodrome.magics.px import ParallelMagics as ParallelMagics
from hippodrome.magics.px import exec_args as exec_args
from hippodrome.magics.px import output_args as output_args
