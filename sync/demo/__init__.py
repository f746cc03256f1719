"""The demonstration: everything on one machine, with accidents."""
