-- +goose Up

-- How often a register changed, in the row of the revocation log's position, so
-- that one lookup reads both. The triggers count whatever makes the change.
ALTER TABLE counters ADD COLUMN registers INTEGER NOT NULL DEFAULT 0;

-- +goose StatementBegin
CREATE TRIGGER clients_added AFTER INSERT ON clients BEGIN
	UPDATE counters SET registers = registers + 1 WHERE name = 'revocations';
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER clients_changed AFTER UPDATE ON clients BEGIN
	UPDATE counters SET registers = registers + 1 WHERE name = 'revocations';
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER clients_removed AFTER DELETE ON clients BEGIN
	UPDATE counters SET registers = registers + 1 WHERE name = 'revocations';
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER apis_added AFTER INSERT ON apis BEGIN
	UPDATE counters SET registers = registers + 1 WHERE name = 'revocations';
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER apis_changed AFTER UPDATE ON apis BEGIN
	UPDATE counters SET registers = registers + 1 WHERE name = 'revocations';
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER apis_removed AFTER DELETE ON apis BEGIN
	UPDATE counters SET registers = registers + 1 WHERE name = 'revocations';
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER roles_added AFTER INSERT ON roles BEGIN
	UPDATE counters SET registers = registers + 1 WHERE name = 'revocations';
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER roles_changed AFTER UPDATE ON roles BEGIN
	UPDATE counters SET registers = registers + 1 WHERE name = 'revocations';
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER roles_removed AFTER DELETE ON roles BEGIN
	UPDATE counters SET registers = registers + 1 WHERE name = 'revocations';
END;
-- +goose StatementEnd

-- +goose Down
