"""The version: it stands here, and the distribution has it from here."""

VERSION = "0.1.0"
