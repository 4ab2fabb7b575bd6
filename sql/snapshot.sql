-- The frame of a transaction that reads much at its leisure: what the server bounds for short ones is longer for it.

-- name: begin
SELECT set_config('statement_timeout', :statement, true),
  set_config('idle_in_transaction_session_timeout', :idle, true);
