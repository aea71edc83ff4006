"""What an owner's assistant may ask and do: the running watchdog as tools of the Model Context Protocol."""
