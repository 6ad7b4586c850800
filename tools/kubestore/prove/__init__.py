"""The proofs: traffic that never retries, faults, controls, and a ledger of what was measured."""
