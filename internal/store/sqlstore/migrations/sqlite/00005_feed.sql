-- +goose Up

-- Who is to be told of an entry: whose the credentials were, and the clients that
-- had some, a list.
ALTER TABLE revocations ADD COLUMN subject TEXT NOT NULL DEFAULT '';
ALTER TABLE revocations ADD COLUMN clients TEXT NOT NULL DEFAULT '[]';

-- The epoch of the log's positions, and until when somebody waits for verifiers:
-- at first the zero time.
INSERT INTO counters (name, value) VALUES ('epoch', 1), ('eager', -62135596800000000);

-- One row for each start of a verifier, a relay or a hub.
CREATE TABLE verifiers (
	id         TEXT    NOT NULL PRIMARY KEY,
	kind       TEXT    NOT NULL,
	client_id  TEXT    NOT NULL,
	name       TEXT    NOT NULL,
	audience   TEXT    NOT NULL,
	policy     TEXT    NOT NULL,
	version    TEXT    NOT NULL,
	registered INTEGER NOT NULL,
	epoch      INTEGER NOT NULL,
	applied    INTEGER NOT NULL,
	staleness  INTEGER NOT NULL, -- nanoseconds
	entries    INTEGER NOT NULL,
	node       TEXT    NOT NULL,
	seen       INTEGER NOT NULL
) WITHOUT ROWID;

-- +goose Down
