-- +goose Up

-- Sessions apart from the database that holds everything else. A touch changes no
-- column with an index, but for once an hour, and finds room on the row's page.
CREATE TABLE apart_sessions (
	id         TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
	secret     BYTEA  NOT NULL UNIQUE,
	user_id    TEXT   COLLATE "C" NOT NULL,
	client_id  TEXT   COLLATE "C" NOT NULL,
	created_at BIGINT NOT NULL,
	auth_time  BIGINT NOT NULL,
	amr        TEXT   NOT NULL,
	seen_at    BIGINT NOT NULL,
	idle_until BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	dead_at    BIGINT NOT NULL, -- the earlier of the two limits
	dead_hour  BIGINT GENERATED ALWAYS AS (dead_at / 3600000000) STORED,
	address    TEXT   NOT NULL,
	agent      TEXT   NOT NULL,
	binding    TEXT   NOT NULL, -- to a network, a device
	rsn        BIGINT NOT NULL, -- the position of the revocation log before the login
	leaving    BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE INDEX apart_sessions_user ON apart_sessions (user_id, id);
CREATE INDEX apart_sessions_client ON apart_sessions (client_id, id) WHERE client_id <> '';
CREATE INDEX apart_sessions_dead ON apart_sessions (dead_hour);

-- One row, to try whether anything can be written.
CREATE TABLE apart_tries (
	id BIGINT NOT NULL PRIMARY KEY
);
INSERT INTO apart_tries (id) VALUES (1);

-- +goose Down
