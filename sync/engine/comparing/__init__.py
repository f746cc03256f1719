"""Two sides compared: listings merged, objects looked at closer, differences made into jobs."""
