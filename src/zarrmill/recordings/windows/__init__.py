"""Windows of EEG and fNIRS on one clock: planned from timestamps alone, then streamed into one store."""
