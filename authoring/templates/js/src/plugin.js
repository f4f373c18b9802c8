// Who may open a WebSocket, and what may be said on it.
import { write as log } from 'tidegate:plugin/log@0.1.0';
import { get as header } from 'tidegate:plugin/request@0.1.0';

// QuickJS has no TextEncoder; messages and header values are bytes.
const bytes = (text) => Uint8Array.from(unescape(encodeURIComponent(text)), (c) => c.charCodeAt(0));
const same = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);
// One character for each byte: what texts are looked up by.
const raw = (bytes) => String.fromCharCode(...bytes);
const lower = (byte) => (byte >= 65 && byte <= 90 ? byte + 32 : byte);

// `origins`: each by its bytes.
let origins, words, banned, patience;
// What is known of each open tunnel: how many of its client's words were filtered.
const tunnels = new Map();
const COUNT = bytes('/count');

export const lifecycle = {
  configure(document) {
    const config = JSON.parse(document);
    const list = (name) =>
      (config[name] ?? []).map((item, i) => {
        // What is thrown is `result`'s error: the configuration is refused with it.
        if (item === '') throw `/${name}/${i}: must not be empty`;
        return item;
      });
    const folded = (item) => bytes(item).map(lower);
    origins = new Map(list('origins').map((origin) => [raw(bytes(origin)), origin]));
    words = list('words').map(folded);
    banned = list('banned').map(folded);
    patience = config.patience ?? 3;
  },
};

function deny(why) {
  const fields = [{ name: 'content-type', value: bytes('text/plain') }];
  return { tag: 'deny', val: { status: 403, fields, body: bytes(why) } };
}

// What every grant changes: made once.
const edits = [
  { operation: 'set', name: 'x-checked-by', value: bytes('js') },
  { operation: 'remove', name: 'x-internal', value: bytes('') },
];

export const authorizer = {
  authorize() {
    const origin = header('origin');
    if (origin == null) return deny('origin missing\n');
    const known = origins.get(raw(origin));
    if (known === undefined) return deny('origin not allowed\n');
    return { tag: 'grant', val: { variables: [{ name: 'visitor_origin', value: known }], edits } };
  },
};

// The length of the word of the list that stands at `at`, in any case; 0 where none does.
function wordAt(list, data, at) {
  const stands = (word) => word.every((byte, i) => byte === lower(data[at + i]));
  return list.find(stands)?.length ?? 0;
}

// The data with its words masked, and how many there were.
function mask(data) {
  const masked = data.slice();
  let found = 0;
  for (let i = 0; i < data.length; ) {
    const length = wordAt(words, data, i);
    masked.fill(42, i, i + length);
    if (length > 0) found += 1;
    i += length || 1;
  }
  return { masked, found };
}

export const messages = {
  open(tunnel) {
    tunnels.set(tunnel, { filtered: 0 });
    return { interest: { textToUpstream: true, textToClient: true } };
  },

  onMessage(tunnel, message, data) {
    const ofClient = message.way === 'to-upstream';
    const state = tunnels.get(tunnel);
    if (ofClient && same(data, COUNT)) {
      const said = { way: 'to-client', text: true, data: bytes(`filtered: ${state.filtered}`) };
      return { tag: 'inject', val: { messages: [said], pass: false } };
    }
    const drop = data.some((_, i) => wordAt(banned, data, i) > 0);
    const { masked, found } = drop ? { found: 1 } : mask(data);
    if (found === 0) return { tag: 'pass' };
    if (ofClient && (state.filtered += found) > patience) {
      log('warn', 'a client was shown out');
      return { tag: 'close', val: { code: 1008, reason: 'mind your words' } };
    }
    return drop ? { tag: 'drop' } : { tag: 'replace', val: masked };
  },

  close(tunnel) {
    tunnels.delete(tunnel);
  },
};
