"""The same two endpoints without anything else, as one would first write them."""
