"""The loop, signals, reload, systemd."""
