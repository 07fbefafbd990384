"""How rows from elsewhere become rows of a table that others write too: landed, validated, attached, recorded."""
