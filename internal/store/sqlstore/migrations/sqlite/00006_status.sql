-- +goose Up

-- Lists of bits that tell other verifiers which tokens were taken back. Numbers
-- are given one after the other, each once; so are the places in the order in
-- which they are taken back.
CREATE TABLE status_lists (
	id        TEXT    NOT NULL PRIMARY KEY,
	opened_at INTEGER NOT NULL,
	ends_at   INTEGER NOT NULL,
	given     INTEGER NOT NULL,
	ended     INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX status_lists_end ON status_lists (ends_at);

CREATE TABLE status_entries (
	list       TEXT    NOT NULL,
	n          INTEGER NOT NULL,
	rsn        INTEGER NOT NULL,
	ends_at    INTEGER NOT NULL,
	user_id    TEXT    NOT NULL,
	session_id TEXT    NOT NULL,
	grant_id   TEXT    NOT NULL,
	client_id  TEXT    NOT NULL,
	api_id     TEXT    NOT NULL,
	key_id     TEXT    NOT NULL,
	token_id   TEXT    NOT NULL,
	ended      INTEGER NOT NULL, -- the place, 0 for none
	PRIMARY KEY (list, n)
) WITHOUT ROWID;
CREATE INDEX status_entries_session ON status_entries (session_id, api_id, client_id) WHERE ended = 0 AND session_id <> '';
CREATE INDEX status_entries_user ON status_entries (user_id) WHERE ended = 0 AND user_id <> '';
CREATE INDEX status_entries_grant ON status_entries (grant_id) WHERE ended = 0 AND grant_id <> '';
CREATE INDEX status_entries_client ON status_entries (client_id) WHERE ended = 0;
CREATE INDEX status_entries_api ON status_entries (api_id) WHERE ended = 0;
CREATE INDEX status_entries_key ON status_entries (key_id) WHERE ended = 0;
CREATE INDEX status_entries_token ON status_entries (token_id) WHERE ended = 0 AND token_id <> '';
CREATE INDEX status_entries_ended ON status_entries (list, ended) WHERE ended > 0;

-- How far into the revocation log the marks go.
INSERT INTO counters (name, value) VALUES ('statuses', 0);

-- +goose Down
