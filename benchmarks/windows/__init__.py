"""Windows of a full-scale recording beside the time of reading its file once."""
