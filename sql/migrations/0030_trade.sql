-- step: note what a record says of a shipment
ALTER TABLE shipments ADD COLUMN source_status text;
COMMENT ON COLUMN shipments.source_status IS 'what the newest record says of the status, whether that counts or not; null where nobody noted it';
