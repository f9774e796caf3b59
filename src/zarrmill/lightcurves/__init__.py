"""Light curves: a survey written epoch by epoch, read object by object."""
