-- +goose Up

-- Sessions apart from the database that holds everything else.
CREATE TABLE apart_sessions (
	id         TEXT    NOT NULL PRIMARY KEY,
	secret     BLOB    NOT NULL UNIQUE,
	user_id    TEXT    NOT NULL,
	client_id  TEXT    NOT NULL,
	created_at INTEGER NOT NULL,
	auth_time  INTEGER NOT NULL,
	amr        TEXT    NOT NULL,
	seen_at    INTEGER NOT NULL,
	idle_until INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	dead_at    INTEGER NOT NULL, -- the earlier of the two limits
	dead_hour  INTEGER GENERATED ALWAYS AS (dead_at / 3600000000) VIRTUAL,
	address    TEXT    NOT NULL,
	agent      TEXT    NOT NULL,
	binding    TEXT    NOT NULL, -- to a network, a device
	rsn        INTEGER NOT NULL, -- the position of the revocation log before the login
	leaving    INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX apart_sessions_user ON apart_sessions (user_id, id);
CREATE INDEX apart_sessions_client ON apart_sessions (client_id, id) WHERE client_id <> '';
CREATE INDEX apart_sessions_dead ON apart_sessions (dead_hour);

-- One row, to try whether anything can be written.
CREATE TABLE apart_tries (
	id BIGINT NOT NULL PRIMARY KEY
);
INSERT INTO apart_tries (id) VALUES (1);

-- +goose Down
