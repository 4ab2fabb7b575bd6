-- step: note what a record says of an order
ALTER TABLE orders ADD COLUMN source_status text, ADD COLUMN source_payment_status text;
COMMENT ON COLUMN orders.source_status IS 'what the newest record says of the status, whether that counts or not; null where nobody noted it';
COMMENT ON COLUMN orders.source_payment_status IS 'as source_status, of the payment; empty where the record says that there is none';

-- step: note it of orders from before, when they are set here
-- Their records noted nothing: what was there until now is what the last one said.
CREATE FUNCTION note_what_source_said() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.source_status IS NULL AND OLD.status_changed_at IS NULL THEN
    NEW.source_status := OLD.status;
  END IF;
  NEW.source_payment_status := coalesce(OLD.source_payment_status, OLD.payment_status, '');
  RETURN NEW;
END $$;
CREATE TRIGGER orders_source_said BEFORE UPDATE OF status, payment_status ON orders FOR EACH ROW WHEN (
    OLD.external_id IS NOT NULL AND (OLD.source_status IS NULL OR OLD.source_payment_status IS NULL)
    AND (NEW.status, NEW.payment_status) IS DISTINCT FROM (OLD.status, OLD.payment_status)
    AND current_setting('waybill.actor', true) IS DISTINCT FROM 'import')
  EXECUTE FUNCTION note_what_source_said();
