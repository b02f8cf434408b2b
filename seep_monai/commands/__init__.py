"""The commands of `seep-monai`, one module each, with a `main` that parses the command line."""
