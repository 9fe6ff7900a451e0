"""Running a planned sweep: claim, execute, record, mirror."""
