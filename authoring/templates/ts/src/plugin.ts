// Who may open a WebSocket, and what may be said on it.
import { write as log } from 'tidegate:plugin/log@0.1.0';
import { get as header } from 'tidegate:plugin/request@0.1.0';
import type { Hooks as Authorizer, Verdict as Access } from 'tidegate:plugin/authorizer@0.1.0';
import type { Hooks as Lifecycle } from 'tidegate:plugin/lifecycle@0.1.0';
import type { Hooks as Messages } from 'tidegate:plugin/messages@0.1.0';
import type { FieldEdit } from 'tidegate:plugin/types@0.1.0';

/** The `config` table of the plugin. */
interface Config {
  origins?: string[];
  words?: string[];
  banned?: string[];
  patience?: number;
}

// QuickJS has no TextEncoder; messages and header values are bytes.
declare function unescape(text: string): string;
const bytes = (text: string) => Uint8Array.from([...unescape(encodeURIComponent(text))].map((c) => c.charCodeAt(0)));
const same = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, i) => byte === b[i]);
// One character for each byte: what texts are looked up by.
const raw = (bytes: Uint8Array) => String.fromCharCode(...bytes);
const lower = (byte: number) => (byte >= 65 && byte <= 90 ? byte + 32 : byte);

// Each by its bytes.
let origins = new Map<string, string>();
let words: Uint8Array[] = [];
let banned: Uint8Array[] = [];
let patience = 3;
// What is known of each open tunnel: how many of its client's words were filtered.
const tunnels = new Map<bigint, { filtered: number }>();
const COUNT = bytes('/count');

export const lifecycle: Lifecycle = {
  configure(document) {
    const config: Config = JSON.parse(document);
    const list = (name: 'origins' | 'words' | 'banned') =>
      (config[name] ?? []).map((item, i) => {
        // What is thrown is `result`'s error: the configuration is refused with it.
        if (item === '') throw `/${name}/${i}: must not be empty`;
        return item;
      });
    const folded = (item: string) => bytes(item).map(lower);
    origins = new Map(list('origins').map((origin) => [raw(bytes(origin)), origin]));
    words = list('words').map(folded);
    banned = list('banned').map(folded);
    patience = config.patience ?? 3;
  },
};

function deny(why: string): Access {
  const fields = [{ name: 'content-type', value: bytes('text/plain') }];
  return { tag: 'deny', val: { status: 403, fields, body: bytes(why) } };
}

// What every grant changes: made once.
const edits: FieldEdit[] = [
  { operation: 'set', name: 'x-checked-by', value: bytes('ts') },
  { operation: 'remove', name: 'x-internal', value: bytes('') },
];

export const authorizer: Authorizer = {
  authorize() {
    const origin = header('origin');
    if (origin == null) return deny('origin missing\n');
    const known = origins.get(raw(origin));
    if (known === undefined) return deny('origin not allowed\n');
    return { tag: 'grant', val: { variables: [{ name: 'visitor_origin', value: known }], edits } };
  },
};

// The length of the word of the list that stands at `at`, in any case; 0 where none does.
function wordAt(list: Uint8Array[], data: Uint8Array, at: number) {
  const stands = (word: Uint8Array) => word.every((byte, i) => byte === lower(data[at + i] ?? 0));
  return list.find(stands)?.length ?? 0;
}

// The data with its words masked, and how many there were.
function mask(data: Uint8Array) {
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

export const messages: Messages = {
  open(tunnel) {
    tunnels.set(tunnel, { filtered: 0 });
    return { interest: { textToUpstream: true, textToClient: true } };
  },

  onMessage(tunnel, message, data) {
    const ofClient = message.way === 'to-upstream';
    const state = tunnels.get(tunnel);
    if (!state) return { tag: 'pass' };
    if (ofClient && same(data, COUNT)) {
      const data = bytes(`filtered: ${state.filtered}`);
      return { tag: 'inject', val: { messages: [{ way: 'to-client', text: true, data }], pass: false } };
    }
    const drop = data.some((_, i) => wordAt(banned, data, i) > 0);
    const { masked, found } = drop ? { masked: data, found: 1 } : mask(data);
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
