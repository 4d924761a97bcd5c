"""The addresses of a group: written in the file, or found in file SD."""
