-- The tables whose rows the service keeps in memory tell when they change (see app/events.py). All of them are written
-- rarely; customers, their sessions and everything that hangs on an order are not among them, and are never kept.
--
-- A statement tells once, however many rows it changes, and PostgreSQL tells once a transaction: an import pays nothing
-- by the row. The payload is the name of the table and never a value.

CREATE FUNCTION tell_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('waybill_changes', TG_TABLE_NAME);
  RETURN NULL;
END
$$;

CREATE TRIGGER channels_tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON channels EXECUTE FUNCTION tell_change();
CREATE TRIGGER storefront_keys_tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON storefront_keys EXECUTE FUNCTION tell_change();
CREATE TRIGGER api_keys_tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON api_keys EXECUTE FUNCTION tell_change();
CREATE TRIGGER api_key_channels_tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON api_key_channels EXECUTE FUNCTION tell_change();
CREATE TRIGGER api_key_companies_tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON api_key_companies EXECUTE FUNCTION tell_change();
CREATE TRIGGER companies_tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON companies EXECUTE FUNCTION tell_change();
CREATE TRIGGER contacts_tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON contacts EXECUTE FUNCTION tell_change();
CREATE TRIGGER contact_companies_tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON contact_companies EXECUTE FUNCTION tell_change();
CREATE TRIGGER carriers_tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON carriers EXECUTE FUNCTION tell_change();
CREATE TRIGGER carrier_descriptions_tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON carrier_descriptions EXECUTE FUNCTION tell_change();
CREATE TRIGGER order_statuses_tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON order_statuses EXECUTE FUNCTION tell_change();
CREATE TRIGGER order_status_sets_tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON order_status_sets EXECUTE FUNCTION tell_change();
CREATE TRIGGER order_status_successors_tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON order_status_successors EXECUTE FUNCTION tell_change();
