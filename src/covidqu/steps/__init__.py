"""The steps that build, train or run a network: one module, one subcommand."""
