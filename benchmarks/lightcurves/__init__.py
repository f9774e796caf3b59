"""`python -m benchmarks.lightcurves`: the targets of light curves, beside zarr-python and xarray on the same store."""
