"""Running plans: the loop, the executors, and the operations that move array data."""
