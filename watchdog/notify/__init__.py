"""Who is told, the words, the outbox, the channels. Nothing here decides what is wrong; incidents are what is told."""
