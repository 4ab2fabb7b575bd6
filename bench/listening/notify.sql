-- What those need who are told by notifications: one for each change, within the transaction that makes it.
CREATE FUNCTION bench_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('bench_shipments', json_build_object('id', NEW.id, 'company', NEW.company_id)::text);
  RETURN NULL;
END $$;
CREATE TRIGGER bench_notify AFTER INSERT ON shipments FOR EACH ROW EXECUTE FUNCTION bench_notify();
