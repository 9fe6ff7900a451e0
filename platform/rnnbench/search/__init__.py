"""What a sweep searches: the sweep file, its domains, and the plan of trials that follows from file and seed."""
