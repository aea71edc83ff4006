"""The YAML file as typed values."""
