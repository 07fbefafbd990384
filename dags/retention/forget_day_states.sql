-- Forget what detection found before an instant. Whoever asks about such a day reads it again.
ALTER TABLE web_pre_aggregated_day_states DELETE WHERE read_at < {before:DateTime64(6, 'UTC')}
