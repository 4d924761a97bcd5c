"""What may be written in files and flags: frozen structs, strict decoding, all faults at once."""
