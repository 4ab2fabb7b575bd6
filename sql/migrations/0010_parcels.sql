-- Who reports where goods are may skip steps of the lifecycle; people take them one by one, but for two that the trade
-- knows: goods that are collected, and goods that are lost.

-- step: mark steps that need an override
ALTER TABLE shipment_status_successors ADD COLUMN needs_override boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN shipment_status_successors.needs_override IS 'whether only who may override the lifecycle takes the step';

-- step: let goods be collected, and lost
-- As 0005_writes.sql made it. `SET LOCAL waybill.overridden_steps = 'allowed'` is for who may override the lifecycle.
CREATE OR REPLACE FUNCTION check_shipment_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM shipment_status_successors n
    WHERE n.status = OLD.status AND n.next_status = NEW.status
      AND (NOT n.needs_override OR current_setting('waybill.overridden_steps', true) = 'allowed')
  ) THEN
    RETURN NEW;
  END IF;
  IF current_setting('waybill.skipped_steps', true) = 'allowed' AND EXISTS (
    SELECT FROM shipment_status_followers n WHERE n.status = OLD.status AND n.next_status = NEW.status
  ) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION '% cannot follow %', coalesce(NEW.status, 'no status'), OLD.status
    USING ERRCODE = 'check_violation', CONSTRAINT = 'shipments_status_follows', TABLE = 'shipments', COLUMN = 'status';
END $$;
INSERT INTO shipment_status_successors (status, next_status, needs_override) VALUES
  ('CREATED', 'DELIVERED', false), ('PROCESSING', 'DELIVERED', false), ('IN_TRANSIT', 'CANCELED', true);
