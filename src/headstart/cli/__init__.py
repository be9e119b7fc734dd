"""The command line: parse, call the api, print. Loads no framework before a command runs."""
