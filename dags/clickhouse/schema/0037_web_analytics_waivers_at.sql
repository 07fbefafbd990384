-- Waivers are stamped by the server, whoever sets or lifts them.
ALTER TABLE web_analytics_waivers
    MODIFY COLUMN at DateTime64(6, 'UTC') DEFAULT now64(6)
