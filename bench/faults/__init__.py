"""The fault bench: everything that is tried to make 3GSync lose, mix or damage an object."""
