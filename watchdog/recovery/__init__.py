"""Bringing jobs back by policy, and proving it. Only here is anything of a watched system ever written."""
