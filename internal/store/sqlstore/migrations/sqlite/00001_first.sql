-- +goose Up

-- Positions that are given without holes. A change takes them last.
CREATE TABLE counters (
	name  TEXT    NOT NULL PRIMARY KEY,
	value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO counters (name, value) VALUES ('events', 0), ('revocations', 0);

CREATE TABLE revocations (
	seq        INTEGER NOT NULL PRIMARY KEY,
	kind       TEXT    NOT NULL,
	key        TEXT    NOT NULL,
	at         INTEGER NOT NULL,
	keep_until INTEGER NOT NULL,
	reason     TEXT    NOT NULL
);
CREATE INDEX revocations_covering ON revocations (kind, key, seq);
CREATE INDEX revocations_kept ON revocations (keep_until);

CREATE TABLE events (
	seq     INTEGER NOT NULL PRIMARY KEY,
	at      INTEGER NOT NULL,
	action  TEXT    NOT NULL,
	actor   TEXT    NOT NULL,
	target  TEXT    NOT NULL,
	client  TEXT    NOT NULL,
	session TEXT    NOT NULL,
	address TEXT    NOT NULL,
	detail  TEXT    NOT NULL
);

CREATE TABLE users (
	id            TEXT    NOT NULL PRIMARY KEY,
	canonical     TEXT    NOT NULL UNIQUE,
	version       INTEGER NOT NULL,
	password_hash TEXT    NOT NULL,
	body          TEXT    NOT NULL
) WITHOUT ROWID;

-- The same as the roles in users.body, to be found from the role.
CREATE TABLE user_roles (
	user_id TEXT NOT NULL,
	role_id TEXT NOT NULL,
	PRIMARY KEY (user_id, role_id)
) WITHOUT ROWID;
CREATE INDEX user_roles_role ON user_roles (role_id);

CREATE TABLE clients (
	id      TEXT    NOT NULL PRIMARY KEY,
	version INTEGER NOT NULL,
	body    TEXT    NOT NULL
) WITHOUT ROWID;

CREATE TABLE apis (
	id      TEXT    NOT NULL PRIMARY KEY,
	version INTEGER NOT NULL,
	body    TEXT    NOT NULL
) WITHOUT ROWID;

CREATE TABLE roles (
	id      TEXT    NOT NULL PRIMARY KEY,
	version INTEGER NOT NULL,
	body    TEXT    NOT NULL
) WITHOUT ROWID;

CREATE TABLE settings (
	name  TEXT NOT NULL PRIMARY KEY,
	value TEXT NOT NULL
) WITHOUT ROWID;

-- At most one row: the one-time administrator token on offer, or the fact that
-- one was redeemed.
CREATE TABLE bootstrap (
	id         INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
	digest     BLOB    NOT NULL,
	expires_at INTEGER NOT NULL,
	redeemed   INTEGER NOT NULL
);

CREATE TABLE sessions (
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
	address    TEXT    NOT NULL,
	agent      TEXT    NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_client ON sessions (client_id) WHERE client_id <> '';
CREATE INDEX sessions_dead ON sessions (dead_at);

CREATE TABLE grants (
	id         TEXT    NOT NULL PRIMARY KEY,
	session_id TEXT    NOT NULL,
	user_id    TEXT    NOT NULL,
	client_id  TEXT    NOT NULL,
	api_id     TEXT    NOT NULL,
	scopes     TEXT    NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	gen        INTEGER NOT NULL,
	rotated_at INTEGER NOT NULL,
	replays    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX grants_session ON grants (session_id);
CREATE INDEX grants_client ON grants (client_id);
CREATE INDEX grants_api ON grants (api_id);
CREATE INDEX grants_expiry ON grants (expires_at);

-- Tokens live for minutes: what ends all tokens of an API reads them through.
CREATE TABLE tokens (
	digest     BLOB    NOT NULL PRIMARY KEY,
	id         TEXT    NOT NULL,
	grant_id   TEXT    NOT NULL,
	session_id TEXT    NOT NULL,
	user_id    TEXT    NOT NULL,
	client_id  TEXT    NOT NULL,
	api_id     TEXT    NOT NULL,
	claims     BLOB,
	expires_at INTEGER NOT NULL
);
CREATE INDEX tokens_id ON tokens (id);
CREATE INDEX tokens_grant ON tokens (grant_id) WHERE grant_id <> '';
CREATE INDEX tokens_session ON tokens (session_id) WHERE session_id <> '';
CREATE INDEX tokens_client ON tokens (client_id);
CREATE INDEX tokens_expiry ON tokens (expires_at);

CREATE TABLE keys (
	id         TEXT    NOT NULL PRIMARY KEY,
	api_id     TEXT    NOT NULL,
	alg        TEXT    NOT NULL,
	state      TEXT    NOT NULL,
	created_at INTEGER NOT NULL,
	active_at  INTEGER NOT NULL,
	retired_at INTEGER NOT NULL,
	removed_at INTEGER NOT NULL,
	read_at    INTEGER NOT NULL,
	public     BLOB,
	sealed     BLOB
) WITHOUT ROWID;
CREATE UNIQUE INDEX keys_active ON keys (api_id) WHERE state = 'active';

CREATE TABLE attempts (
	key      TEXT    NOT NULL PRIMARY KEY,
	failures INTEGER NOT NULL,
	last_at  INTEGER NOT NULL,
	until_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX attempts_last ON attempts (last_at);

-- +goose Down
