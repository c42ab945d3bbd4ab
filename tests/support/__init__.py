"""What the end-to-end tests share: servers, outcomes of statements, case files, ratchets."""
