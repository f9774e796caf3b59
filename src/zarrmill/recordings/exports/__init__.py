"""Exports of sessions to what other programs read: BIDS events, MNE annotations, NWB intervals."""
