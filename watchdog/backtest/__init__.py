"""What would have been told: the conditions and the rules of telling, replayed over the history that is there."""
