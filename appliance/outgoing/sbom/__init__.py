"""SBOMs made by syft."""
