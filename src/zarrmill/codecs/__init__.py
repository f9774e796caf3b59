"""The codec driver: chunks and shards encoded and decoded without zarr, by public formats alone."""
