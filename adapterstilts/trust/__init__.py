"""What the data behind an artifact ask of it: licences, confidentiality, and what a push has to be told. No torch."""
