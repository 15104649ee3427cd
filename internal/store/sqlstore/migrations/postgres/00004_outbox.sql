-- +goose Up

-- How far each topic has come in the revocation log.
CREATE TABLE outbox_places (
	topic TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
	seq   BIGINT NOT NULL
) WITH (fillfactor = 50);

-- What is to be told to others. A message that was delivered is gone.
CREATE TABLE outbox (
	number     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	id         TEXT   COLLATE "C" NOT NULL UNIQUE,
	topic      TEXT   COLLATE "C" NOT NULL,
	receiver   TEXT   COLLATE "C" NOT NULL,
	seq        BIGINT NOT NULL,
	body       BYTEA,
	created_at BIGINT NOT NULL,
	due_at     BIGINT NOT NULL,
	attempts   BIGINT NOT NULL,
	holder     TEXT   COLLATE "C" NOT NULL,
	held_until BIGINT NOT NULL,
	state      TEXT   COLLATE "C" NOT NULL,
	problem    TEXT   NOT NULL,
	settled_at BIGINT NOT NULL
);
CREATE INDEX outbox_due ON outbox (topic, receiver, due_at) WHERE state = 'waiting';
CREATE INDEX outbox_receiver ON outbox (receiver);
CREATE INDEX outbox_created ON outbox (created_at) WHERE state = 'waiting';
CREATE INDEX outbox_settled ON outbox (settled_at) WHERE state <> 'waiting';

-- Receivers that said themselves what they want to hear.
CREATE TABLE streams (
	id        TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
	client_id TEXT   COLLATE "C" NOT NULL,
	audience  TEXT   COLLATE "C" NOT NULL,
	version   BIGINT NOT NULL,
	body      TEXT   NOT NULL,
	UNIQUE (client_id, audience)
);

-- Whom they do not want to hear of.
CREATE TABLE stream_omissions (
	stream_id TEXT   COLLATE "C" NOT NULL,
	subject   TEXT   COLLATE "C" NOT NULL,
	at        BIGINT NOT NULL,
	PRIMARY KEY (stream_id, subject)
);
CREATE INDEX stream_omissions_subject ON stream_omissions (subject);

-- +goose Down
