-- What the server has as a setting of all tables that name none of their own: its configuration's, or the default.
-- Grain   one row
-- Reads   merge_tree_settings or replicated_merge_tree_settings, by the kind of the table
SELECT value FROM system.$settings WHERE name = {name:String}
