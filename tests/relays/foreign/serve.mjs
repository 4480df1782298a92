// A relay made of @nostr-relay/core: `node serve.mjs [auth]` prints where it listens. With `auth` it serves and
// takes wraps only for clients that have said who they are (NIP-42).
import { EventRepository } from '@nostr-relay/common';
import { NostrRelay } from '@nostr-relay/core';
import { Validator } from '@nostr-relay/validator';
import { WebSocketServer } from 'ws';

const auth = process.argv.includes('auth');

class Memory extends EventRepository {
  events = new Map();
  isSearchSupported() {
    return false;
  }
  upsert(event) {
    const isDuplicate = this.events.has(event.id);
    this.events.set(event.id, event);
    return { isDuplicate };
  }
  find(filter) {
    const tagged = Object.entries(filter).filter(([name]) => name.startsWith('#'));
    const has = (event, [name, values]) =>
      event.tags.some(([tag, value]) => tag === name.slice(1) && values.includes(value));
    const found = [...this.events.values()].filter(
      (event) =>
        (!filter.ids || filter.ids.includes(event.id)) &&
        (!filter.authors || filter.authors.includes(event.pubkey)) &&
        (!filter.kinds || filter.kinds.includes(event.kind)) &&
        (!filter.since || event.created_at >= filter.since) &&
        (!filter.until || event.created_at <= filter.until) &&
        tagged.every((tag) => has(event, tag)),
    );
    found.sort((one, other) => other.created_at - one.created_at);
    return found.slice(0, filter.limit ?? 100);
  }
  async destroy() {}
}

const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
const relay = new NostrRelay(new Memory(), auth ? { hostname: '127.0.0.1' } : {});
const validator = new Validator();
const isAboutWraps = ([type, ...rest]) =>
  type === 'EVENT' ? rest[0].kind === 1059 : type === 'REQ' && rest.slice(1).some((filter) => filter.kinds?.includes(1059));

server.on('connection', (client) => {
  relay.handleConnection(client, '127.0.0.1');
  client.on('message', async (data) => {
    try {
      const message = await validator.validateIncomingMessage(data);
      if (auth && isAboutWraps(message) && !relay.isAuthorized(client)) {
        const refusal = message[0] === 'EVENT' ? ['OK', message[1].id, false] : ['CLOSED', message[1]];
        client.send(JSON.stringify([...refusal, 'auth-required: who are you?']));
        return;
      }
      await relay.handleMessage(client, message);
    } catch (error) {
      client.send(JSON.stringify(['NOTICE', String(error.message ?? error)]));
    }
  });
  client.on('close', () => relay.handleDisconnect(client));
  client.on('error', () => {});
});
server.on('listening', () => console.log(`ws://127.0.0.1:${server.address().port}`));
