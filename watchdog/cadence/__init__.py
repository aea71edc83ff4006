"""When schedules fire, by croner's rules and by classic cron's, and when a breaker trips."""
