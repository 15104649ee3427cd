-- +goose Up

-- Who is to be told of an entry: whose the credentials were, and the clients that
-- had some, a list.
ALTER TABLE revocations ADD COLUMN subject TEXT NOT NULL DEFAULT '';
ALTER TABLE revocations ADD COLUMN clients TEXT NOT NULL DEFAULT '[]';

-- The epoch of the log's positions, and until when somebody waits for verifiers:
-- at first the zero time.
INSERT INTO counters (name, value) VALUES ('epoch', 1), ('eager', -62135596800000000);

-- One row for each start of a verifier, a relay or a hub. A note changes no column
-- with an index, and finds room on the row's page.
CREATE TABLE verifiers (
	id         TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
	kind       TEXT   NOT NULL,
	client_id  TEXT   NOT NULL,
	name       TEXT   NOT NULL,
	audience   TEXT   NOT NULL,
	policy     TEXT   NOT NULL,
	version    TEXT   NOT NULL,
	registered BIGINT NOT NULL,
	epoch      BIGINT NOT NULL,
	applied    BIGINT NOT NULL,
	staleness  BIGINT NOT NULL, -- nanoseconds
	entries    BIGINT NOT NULL,
	node       TEXT   NOT NULL,
	seen       BIGINT NOT NULL
) WITH (fillfactor = 50);

-- +goose Down
