"""Recordings: curated HDF5 sessions of events and signals, turned into one Zarr store per session."""
