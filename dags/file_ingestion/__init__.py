"""Late data from files, in object storage or in a directory: every file once a version."""
