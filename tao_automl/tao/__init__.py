"""What TAO says: skills, schemas, specs, status files, checkpoints. Reads files, starts nothing."""
