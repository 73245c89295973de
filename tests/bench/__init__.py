"""Measurements beside the limits that the product promises: `make bench`.

Each `bench_*` module has `rows()`, which yields `Row`s. All are ratios, sizes or counts from one run; nothing here is a
test, because a time depends on the machine.
"""
