"""OpenClaw's gateway: how it is read and acted on."""
