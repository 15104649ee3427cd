-- +goose Up

-- What the request said that opened a grant, a document.
ALTER TABLE grants ADD COLUMN details TEXT NOT NULL DEFAULT '';

-- What may be used once, or for a short while.
CREATE TABLE tickets (
	kind       TEXT    NOT NULL,
	id         BLOB    NOT NULL,
	body       BLOB,
	expires_at INTEGER NOT NULL,
	version    INTEGER NOT NULL,
	PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE INDEX tickets_end ON tickets (expires_at);

-- What people allowed applications.
CREATE TABLE consents (
	user_id    TEXT    NOT NULL,
	client_id  TEXT    NOT NULL,
	api_id     TEXT    NOT NULL,
	scopes     TEXT    NOT NULL,
	given_at   INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	PRIMARY KEY (user_id, client_id, api_id)
) WITHOUT ROWID;
CREATE INDEX consents_client ON consents (client_id);

-- +goose Down
