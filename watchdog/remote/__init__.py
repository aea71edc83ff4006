"""Other watchdogs as their APIs show them: asked from here, so that nobody needs a shell on their machines."""
