// Who may open a WebSocket, and what may be said on it.
import { Answer, configured, free, header, take, text, utf8, warn } from "./tidegate";
export { cabi_realloc } from "./tidegate";

let origins: Uint8Array[] = [];
let words: Uint8Array[] = [];
let banned: Uint8Array[] = [];
let patience: u32 = 3;
// What is known of each open tunnel: how many of its client's words were filtered.
const filtered = new Map<u64, u32>();

// ---- configuration ----

let wrong = "";

// The strings of a list in the configuration: /NAME/0, /NAME/1, … Notes what is wrong with it.
function list(name: string): Uint8Array[] {
  const items: Uint8Array[] = [];
  while (true) {
    const pointer = "/" + name + "/" + items.length.toString();
    const item = configured(pointer);
    if (!item) return items;
    if (item.length == 0 && wrong == "") wrong = pointer + ": must not be empty";
    items.push(item);
  }
}

// result<_, string>: tag u8 @0, the error's text @4
export function lifecycle__configure(document: usize, length: usize): usize {
  take(document, length);
  wrong = "";
  origins = list("origins");
  words = list("words");
  banned = list("banned");
  const most = configured("/patience");
  if (most) patience = <u32>parseInt(text(most));
  const answer = new Answer(12);
  if (wrong != "") {
    store<u8>(answer.at, 1);
    answer.bytes(answer.at + 4, utf8(wrong));
  }
  return answer.give();
}
export function lifecycle__configure__post(_: usize): void { free(); }

// ---- authorizer: who may open ----

// verdict: tag u8 @0; grant @4 = list of variables @4, list of edits @12; deny @4 = status u16 @4, list of
// fields @8, body @16
function deny(why: string): usize {
  const answer = new Answer(24), at = answer.at;
  store<u8>(at, 2);
  store<u16>(at, 403, 4);
  const field = answer.list(at + 8, 1, 16); // name @0, value @8
  answer.bytes(field, utf8("content-type"));
  answer.bytes(field + 8, utf8("text/plain"));
  answer.bytes(at + 16, utf8(why));
  return answer.give();
}

export function authorizer__authorize(): usize {
  const origin = header("origin");
  if (!origin) return deny("origin missing\n");
  if (!isKnown(origin)) return deny("origin not allowed\n");
  const answer = new Answer(24), at = answer.at;
  store<u8>(at, 1);
  const variable = answer.list(at + 4, 1, 16); // name @0, value @8
  answer.bytes(variable, utf8("visitor_origin"));
  answer.bytes(variable + 8, origin);
  const edits = answer.list(at + 12, 2, 20); // operation u8 @0, name @4, value @12
  store<u8>(edits, 0); // set
  answer.bytes(edits + 4, utf8("x-checked-by"));
  answer.bytes(edits + 12, utf8("as"));
  store<u8>(edits + 20, 3); // remove
  answer.bytes(edits + 24, utf8("x-internal"));
  answer.bytes(edits + 32, utf8(""));
  return answer.give();
}
export function authorizer__authorize__post(_: usize): void { free(); }

function isKnown(origin: Uint8Array): bool {
  for (let i = 0; i < origins.length; i++) {
    const known = origins[i];
    if (known.length == origin.length && memory.compare(known.dataStart, origin.dataStart, known.length) == 0) return true;
  }
  return false;
}

// ---- messages: what may be said ----

// option<subscription>: tag u8 @0, interest flags u8 @4, first option<u32> @8
export function messages__open(tunnel: u64): usize {
  filtered.set(tunnel, 0);
  const answer = new Answer(16);
  store<u8>(answer.at, 1);
  store<u8>(answer.at, 1 | 4, 4); // text to upstream, text to client
  return answer.give();
}

export function messages__close(tunnel: u64): void {
  filtered.delete(tunnel);
}

function lower(c: u8): u8 {
  return c >= 65 && c <= 90 ? c + 32 : c;
}

// The length of the word of the list that stands at `at`, in any case; 0 where none does.
function wordAt(list: Uint8Array[], data: Uint8Array, at: i32): i32 {
  for (let i = 0; i < list.length; i++) {
    const word = list[i];
    let n = 0;
    while (n < word.length && at + n < data.length && lower(data[at + n]) == lower(word[n])) n++;
    if (n == word.length) return n;
  }
  return 0;
}

function isBanned(data: Uint8Array): bool {
  for (let i = 0; i < data.length; i++) if (wordAt(banned, data, i) > 0) return true;
  return false;
}

// Mask the words in their place; how many there were.
function mask(data: Uint8Array): u32 {
  let found: u32 = 0;
  for (let i = 0; i < data.length; ) {
    const length = wordAt(words, data, i);
    data.fill(42, i, i + length);
    if (length > 0) found++;
    i += max(length, 1);
  }
  return found;
}

// verdict: tag u8 @0 (0 pass, 1 drop, 2 replace, 3 inject, 4 close), what belongs to it @4
export function messages__on_message(
  tunnel: u64, way: i32, _text: i32, _hasLength: i32, _length: u64, ptr: usize, len: usize,
): usize {
  const data = take(ptr, len);
  const ofClient = way == 0;
  const answer = new Answer(16), at = answer.at;
  if (ofClient && text(data) == "/count") {
    store<u8>(at, 3);
    const said = answer.list(at + 4, 1, 12); // way u8 @0, text bool @1, data @4; pass bool @12
    store<u8>(said, 1);
    store<u8>(said, 1, 1);
    answer.bytes(said + 4, utf8("filtered: " + filtered.get(tunnel).toString()));
    return answer.give();
  }
  const drop = isBanned(data);
  const found = drop ? 1 : mask(data);
  if (found == 0) return answer.give();
  if (ofClient) {
    filtered.set(tunnel, filtered.get(tunnel) + found);
    if (filtered.get(tunnel) > patience) {
      warn("a client was shown out");
      store<u8>(at, 4);
      store<u16>(at, 1008, 4);
      answer.bytes(at + 8, utf8("mind your words"));
      return answer.give();
    }
  }
  store<u8>(at, drop ? 1 : 2);
  if (!drop) answer.bytes(at + 4, data);
  return answer.give();
}
export function messages__on_message__post(_: usize): void { free(); }
