"""How fast the parts are that take the time, each beside the usual way in the same run."""
