-- Chats with buttons: a copy of a request may be on the other side more than once (a send whose answer
-- was lost is sent again), its buttons carry tokens, and taps are answered by messages of their own.
-- SQLite cannot change a CHECK, so `messages` is made anew.

CREATE TABLE messages_with_answers (
    id         TEXT    NOT NULL PRIMARY KEY,
    channel    TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    about      TEXT,
    copy       TEXT    REFERENCES messages_with_answers (id),
    kind       TEXT    NOT NULL CHECK (kind IN ('card', 'edit', 'note', 'answer')),
    priority   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('due', 'sent', 'gone')),
    attempts   INTEGER NOT NULL,
    next_at    INTEGER NOT NULL,
    remote_id  TEXT,
    sent_at    INTEGER,
    body       TEXT    NOT NULL,
    CHECK ((kind = 'edit') = (copy IS NOT NULL))
) STRICT;
INSERT INTO messages_with_answers SELECT id, channel, target, about, copy, kind, priority, created_at, state,
    attempts, next_at, remote_id, sent_at, body FROM messages ORDER BY (copy IS NOT NULL), created_at;
DROP TABLE messages;
ALTER TABLE messages_with_answers RENAME TO messages;
CREATE INDEX messages_due ON messages (channel, priority, created_at) WHERE state = 'due';
CREATE UNIQUE INDEX messages_one_due_edit ON messages (copy) WHERE state = 'due' AND copy IS NOT NULL;
CREATE INDEX messages_over ON messages (created_at) WHERE state <> 'due' AND kind <> 'card';
CREATE INDEX messages_pages ON messages (created_at) WHERE kind = 'card' AND about IS NULL;
CREATE INDEX messages_copy ON messages (copy) WHERE copy IS NOT NULL;
CREATE INDEX messages_about ON messages (about) WHERE about IS NOT NULL;

-- All ids that a copy is known by on the other side; edits go to all of them.
CREATE TABLE remote_ids (
    channel   TEXT NOT NULL,
    target    TEXT NOT NULL,
    remote_id TEXT NOT NULL,
    copy      TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    PRIMARY KEY (channel, target, remote_id)
) STRICT;
CREATE INDEX remote_ids_copy ON remote_ids (copy);

-- What a button stands for. A token is good in the chat of its copy, and is kept some time after the
-- request was closed, so that a late tap hears who was first.
CREATE TABLE tokens (
    token      TEXT    NOT NULL PRIMARY KEY,
    copy       TEXT    NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    press      TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tokens_copy ON tokens (copy);
CREATE INDEX tokens_made ON tokens (created_at);
