"""Records of the station in words."""
