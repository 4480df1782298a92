// An approver made of nostr-tools: `node answer.mjs RELAY SECRET GATEWAY CODE HOW` finds the request and answers it.
import { finalizeEvent, generateSecretKey, getPublicKey } from 'nostr-tools/pure';
import { Relay, useWebSocketImplementation } from 'nostr-tools/relay';
import * as nip17 from 'nostr-tools/nip17';
import * as nip44 from 'nostr-tools/nip44';
import WebSocket from 'ws';

useWebSocketImplementation(WebSocket);
const [url, secretHex, gateway, code, how] = process.argv.slice(2);
const secret = Uint8Array.from(Buffer.from(secretHex, 'hex'));
const me = getPublicKey(secret);
const relay = await Relay.connect(url);
const now = () => Math.floor(Date.now() / 1000);
const tag = (event, name) => event.tags.find(([first]) => first === name)?.[1];

// The request, out of all that the gateway has sent.
let asking;
const request = await new Promise((resolve, reject) => {
  setTimeout(() => reject(new Error(`no request ${code}`)), 15_000);
  const look = (event) => {
    let said = event;
    if (event.kind === 1059) {
      try {
        said = nip17.unwrapEvent(event, secret);
      } catch {
        return;
      }
    }
    if (said.pubkey === gateway && tag(said, 'code') === code) resolve(said);
  };
  // Asked again: this relay answers the same question from its memory for a second, also if it was empty then.
  const ask = () => relay.subscribe([{ kinds: [1059], '#p': [me] }, { kinds: [1], authors: [gateway] }], { onevent: look });
  ask();
  asking = setInterval(ask, 1_500);
});

clearInterval(asking);
const key = tag(request, 'approval');
const decision = (verb) =>
  finalizeEvent(
    {
      kind: 4717,
      created_at: now(),
      content: 'by nostr-tools',
      tags: [['e', request.id, url, gateway], ['p', gateway], ['approval', key], ['decision', verb]],
    },
    secret,
  );
const wrapped = (event) => {
  const ephemeral = generateSecretKey();
  const content = nip44.encrypt(JSON.stringify(event), nip44.getConversationKey(ephemeral, gateway));
  return finalizeEvent({ kind: 1059, created_at: now(), content, tags: [['p', gateway]] }, ephemeral);
};
const answers = {
  reply: () =>
    finalizeEvent(
      { kind: 1, created_at: now(), content: 'approve', tags: [['e', request.id, '', 'root'], ['p', gateway]] },
      secret,
    ),
  reaction: () =>
    finalizeEvent({ kind: 7, created_at: now(), content: '+', tags: [['e', request.id], ['p', gateway]] }, secret),
  private: () =>
    nip17.wrapEvent(secret, { publicKey: gateway }, 'approve', undefined, { eventId: request.id, relayUrl: url }),
  open: () => decision('approve'),
  wrapped: () => wrapped(decision('approve')),
};
await relay.publish(answers[how]());
console.log('published');
process.exit(0);
