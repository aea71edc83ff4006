"""The nouns, instants, durations, text made fit to leave, logs. Imports nothing else of the watchdog."""
