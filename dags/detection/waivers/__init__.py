"""Days and teams that a person declares empty or not worth a rebuild, with who, why and until when."""
