-- +goose Up

-- Positions that are given without holes. A change takes them last. Beside the
-- position of the revocation log stands how often a register changed, so that one
-- lookup reads both.
CREATE TABLE counters (
	name      TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
	value     BIGINT NOT NULL,
	registers BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 10);
INSERT INTO counters (name, value) VALUES ('events', 0), ('revocations', 0);

CREATE TABLE revocations (
	seq        BIGINT NOT NULL PRIMARY KEY,
	kind       TEXT   COLLATE "C" NOT NULL,
	key        TEXT   COLLATE "C" NOT NULL,
	at         BIGINT NOT NULL,
	keep_until BIGINT NOT NULL,
	reason     TEXT   NOT NULL
);
CREATE INDEX revocations_covering ON revocations (kind, key, seq);
CREATE INDEX revocations_kept ON revocations (keep_until);

CREATE TABLE events (
	seq     BIGINT NOT NULL PRIMARY KEY,
	at      BIGINT NOT NULL,
	action  TEXT   NOT NULL,
	actor   TEXT   NOT NULL,
	target  TEXT   NOT NULL,
	client  TEXT   NOT NULL,
	session TEXT   NOT NULL,
	address TEXT   NOT NULL,
	detail  TEXT   NOT NULL
);

CREATE TABLE users (
	id            TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
	canonical     TEXT   COLLATE "C" NOT NULL UNIQUE,
	version       BIGINT NOT NULL,
	password_hash TEXT   NOT NULL,
	body          TEXT   NOT NULL
);

-- The same as the roles in users.body, to be found from the role.
CREATE TABLE user_roles (
	user_id TEXT COLLATE "C" NOT NULL,
	role_id TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (user_id, role_id)
);
CREATE INDEX user_roles_role ON user_roles (role_id);

CREATE TABLE clients (
	id      TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
	version BIGINT NOT NULL,
	body    TEXT   NOT NULL
);

CREATE TABLE apis (
	id      TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
	version BIGINT NOT NULL,
	body    TEXT   NOT NULL
);

CREATE TABLE roles (
	id      TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
	version BIGINT NOT NULL,
	body    TEXT   NOT NULL
);

-- The triggers count whatever makes the change.
-- +goose StatementBegin
CREATE FUNCTION wafer_count_register() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE counters SET registers = registers + 1 WHERE name = 'revocations';
	RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER clients_counted AFTER INSERT OR UPDATE OR DELETE ON clients FOR EACH ROW EXECUTE FUNCTION wafer_count_register();
CREATE TRIGGER apis_counted AFTER INSERT OR UPDATE OR DELETE ON apis FOR EACH ROW EXECUTE FUNCTION wafer_count_register();
CREATE TRIGGER roles_counted AFTER INSERT OR UPDATE OR DELETE ON roles FOR EACH ROW EXECUTE FUNCTION wafer_count_register();
CREATE TRIGGER clients_emptied AFTER TRUNCATE ON clients FOR EACH STATEMENT EXECUTE FUNCTION wafer_count_register();
CREATE TRIGGER apis_emptied AFTER TRUNCATE ON apis FOR EACH STATEMENT EXECUTE FUNCTION wafer_count_register();
CREATE TRIGGER roles_emptied AFTER TRUNCATE ON roles FOR EACH STATEMENT EXECUTE FUNCTION wafer_count_register();

CREATE TABLE settings (
	name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	value TEXT NOT NULL
);

-- At most one row: the one-time administrator token on offer, or the fact that
-- one was redeemed.
CREATE TABLE bootstrap (
	id         BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
	digest     BYTEA  NOT NULL,
	expires_at BIGINT NOT NULL,
	redeemed   BIGINT NOT NULL
);

-- A touch changes no column with an index, but for once an hour, and finds room on
-- the row's page.
CREATE TABLE sessions (
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
	leaving    BIGINT NOT NULL DEFAULT 0 -- on its way to another home, it changes no more
) WITH (fillfactor = 70);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_client ON sessions (client_id) WHERE client_id <> '';
CREATE INDEX sessions_dead ON sessions (dead_hour);

-- What hangs from a user is found from the user: the sessions may live elsewhere.
CREATE TABLE grants (
	id         TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
	session_id TEXT   COLLATE "C" NOT NULL,
	user_id    TEXT   COLLATE "C" NOT NULL,
	client_id  TEXT   COLLATE "C" NOT NULL,
	api_id     TEXT   COLLATE "C" NOT NULL,
	scopes     TEXT   NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	gen        BIGINT NOT NULL,
	rotated_at BIGINT NOT NULL,
	replays    BIGINT NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX grants_session ON grants (session_id);
CREATE INDEX grants_user ON grants (user_id);
CREATE INDEX grants_client ON grants (client_id);
CREATE INDEX grants_api ON grants (api_id);
CREATE INDEX grants_expiry ON grants (expires_at);

-- Tokens live for minutes: what ends all tokens of an API reads them through.
CREATE TABLE tokens (
	digest     BYTEA  NOT NULL PRIMARY KEY,
	id         TEXT   COLLATE "C" NOT NULL,
	grant_id   TEXT   COLLATE "C" NOT NULL,
	session_id TEXT   COLLATE "C" NOT NULL,
	user_id    TEXT   COLLATE "C" NOT NULL,
	client_id  TEXT   COLLATE "C" NOT NULL,
	api_id     TEXT   COLLATE "C" NOT NULL,
	claims     BYTEA,
	expires_at BIGINT NOT NULL
);
CREATE INDEX tokens_id ON tokens (id);
CREATE INDEX tokens_grant ON tokens (grant_id) WHERE grant_id <> '';
CREATE INDEX tokens_session ON tokens (session_id) WHERE session_id <> '';
CREATE INDEX tokens_user ON tokens (user_id) WHERE user_id <> '';
CREATE INDEX tokens_client ON tokens (client_id);
CREATE INDEX tokens_expiry ON tokens (expires_at);

CREATE TABLE keys (
	id         TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
	api_id     TEXT   COLLATE "C" NOT NULL,
	alg        TEXT   NOT NULL,
	state      TEXT   NOT NULL,
	created_at BIGINT NOT NULL,
	active_at  BIGINT NOT NULL,
	retired_at BIGINT NOT NULL,
	removed_at BIGINT NOT NULL,
	read_at    BIGINT NOT NULL,
	public     BYTEA,
	sealed     BYTEA
);
CREATE UNIQUE INDEX keys_active ON keys (api_id) WHERE state = 'active';

CREATE TABLE attempts (
	key      TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
	failures BIGINT NOT NULL,
	last_at  BIGINT NOT NULL,
	until_at BIGINT NOT NULL
);
CREATE INDEX attempts_last ON attempts (last_at);

-- +goose Down
