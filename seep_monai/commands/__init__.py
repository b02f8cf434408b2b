"""What `seep-monai` runs: a module for each command, with a `main` that takes the command line."""
