-- +goose Up

-- What a session is bound to: a network, a device.
ALTER TABLE sessions ADD COLUMN binding TEXT NOT NULL DEFAULT '';

-- +goose Down
