"""A test double of the control API, for unit tests of screens and for their pictures: objects in memory, whose clock a
test moves. What a station does is tested on real ones (`tests.console.real`, `tests.console.seeded`)."""
