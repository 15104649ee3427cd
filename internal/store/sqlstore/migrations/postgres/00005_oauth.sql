-- +goose Up

-- What the request said that opened a grant, a document.
ALTER TABLE grants ADD COLUMN details TEXT COLLATE "C" NOT NULL DEFAULT '';

-- What may be used once, or for a short while.
CREATE TABLE tickets (
	kind       TEXT   COLLATE "C" NOT NULL,
	id         BYTEA  NOT NULL,
	body       BYTEA,
	expires_at BIGINT NOT NULL,
	version    BIGINT NOT NULL,
	PRIMARY KEY (kind, id)
);
CREATE INDEX tickets_end ON tickets (expires_at);

-- What people allowed applications.
CREATE TABLE consents (
	user_id    TEXT   COLLATE "C" NOT NULL,
	client_id  TEXT   COLLATE "C" NOT NULL,
	api_id     TEXT   COLLATE "C" NOT NULL,
	scopes     TEXT   COLLATE "C" NOT NULL,
	given_at   BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (user_id, client_id, api_id)
);
CREATE INDEX consents_client ON consents (client_id);

-- +goose Down
