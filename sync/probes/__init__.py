"""What ``3gsync config check --online`` tries, each against the real thing."""
