"""The fault lab: attacks on the installed command, each with what is promised of it. `make faults`."""
