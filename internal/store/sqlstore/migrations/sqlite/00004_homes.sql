-- +goose Up

-- A session on its way to another home changes no more where it is.
ALTER TABLE sessions ADD COLUMN leaving INTEGER NOT NULL DEFAULT 0;
-- What PostgreSQL has an index on, for the same statements.
ALTER TABLE sessions ADD COLUMN dead_hour INTEGER GENERATED ALWAYS AS (dead_at / 3600000000) VIRTUAL;

-- What hangs from a user is found from the user: the sessions may live elsewhere.
CREATE INDEX grants_user ON grants (user_id);
CREATE INDEX tokens_user ON tokens (user_id) WHERE user_id <> '';

-- +goose Down
