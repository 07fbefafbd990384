-- A sign of life, by the server's clock. One that goes into a lease that was taken away in the meantime does no harm,
-- for only those of the comment's holder count.
INSERT INTO $lease (token) VALUES ({token:String})
