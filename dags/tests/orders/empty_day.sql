-- A day's rows, gone before they are computed again.
ALTER TABLE orders_by_day
    DROP PARTITION {partition:UInt32}
