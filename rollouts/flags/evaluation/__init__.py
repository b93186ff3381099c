"""What a flag is worth to one user: pure, bounded, and equal in meaning to the SDKs."""
