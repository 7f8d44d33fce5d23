"""The commands of the shell, one file each, with the options that belong to it."""
