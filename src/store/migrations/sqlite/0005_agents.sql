-- The door for agents. Portable as 0001 tells.

-- Who may act as which agent: the hash (SHA-256, hex) of a random token of 256 bits. One token an agent.
CREATE TABLE agent_tokens (
    agent     TEXT    NOT NULL PRIMARY KEY,
    hash      TEXT    NOT NULL,
    issued_at INTEGER NOT NULL,
    issued_by TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX agent_tokens_hash ON agent_tokens (hash);

-- What an agent was answered under a key of its own choice, so that a request that is sent again after a lost
-- answer is not carried out twice. Written in the transaction that carried it out.
CREATE TABLE agent_answers (
    agent       TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    request     TEXT    NOT NULL,
    body        TEXT    NOT NULL,
    answered_at INTEGER NOT NULL,
    PRIMARY KEY (agent, key)
) STRICT;
CREATE INDEX agent_answers_age ON agent_answers (answered_at);

-- Until when an agent said to be busy: so that a restart of the gateway in the middle of a long operation does not
-- take it for dead. Heartbeats themselves are not kept.
CREATE TABLE agent_busy (
    agent   TEXT    NOT NULL PRIMARY KEY,
    until   INTEGER NOT NULL,
    said_at INTEGER NOT NULL
) STRICT;
