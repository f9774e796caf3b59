"""The floor: what the same bytes cost with plain library calls on all cores, planning, limits and checks left out.

Per slab (the smallest range of axis 0 that no source chunk and no target key straddles; all of G): read and decode in
large batches, one strided copy into an arena that holds the target's chunks one after the other, encode, write.
"""
