// How components pass values (the canonical ABI), for what the plugin uses of the contract. There is
// no generator of bindings for AssemblyScript: a hook or service that is not here is added by hand,
// as wit/deps/tidegate/*.wit says.
//
// A function `hook` of interface `interface` is exported as `interface__hook`, and what frees its
// result as `interface__hook__post`: `tidegate plugin build` gives them the contract's names.

// ---- memory ----

/** The proxy writes arguments and results of imports into memory from here. */
export function cabi_realloc(old: usize, oldSize: usize, align: usize, size: usize): usize {
  if (size == 0) return align;
  return old == 0 ? heap.alloc(size) : heap.realloc(old, size);
}

/** Bytes that were given to us: copied into an array, and freed. */
export function take(ptr: usize, len: usize): Uint8Array {
  const bytes = new Uint8Array(<i32>len);
  memory.copy(bytes.dataStart, ptr, len);
  if (len > 0) heap.free(ptr);
  return bytes;
}

export function utf8(text: string): Uint8Array {
  return Uint8Array.wrap(String.UTF8.encode(text));
}

export function text(bytes: Uint8Array): string {
  return String.UTF8.decodeUnsafe(bytes.dataStart, bytes.length);
}

/** Where imports leave their results: option<string> and option<list<u8>> are 12 bytes. */
const result = memory.data(12, 4);

function optionalBytes(): Uint8Array | null {
  return load<u8>(result) == 0 ? null : take(load<u32>(result, 4), load<u32>(result, 8));
}

// ---- what Tidegate offers ----

// @ts-ignore: decorator
@external("tidegate:plugin/config@0.1.0", "get")
declare function config_get(ptr: usize, len: usize, result: usize): void;
// @ts-ignore: decorator
@external("tidegate:plugin/request@0.1.0", "get")
declare function request_get(ptr: usize, len: usize, result: usize): void;
// @ts-ignore: decorator
@external("tidegate:plugin/log@0.1.0", "write")
declare function log_write(level: i32, ptr: usize, len: usize): void;

/** One value of the configuration by JSON pointer, or null. */
export function configured(pointer: string): Uint8Array | null {
  const path = utf8(pointer);
  config_get(path.dataStart, path.length, result);
  return optionalBytes();
}

/** The first value of a request's header, or null. */
export function header(name: string): Uint8Array | null {
  const bytes = utf8(name);
  request_get(bytes.dataStart, bytes.length, result);
  return optionalBytes();
}

export function warn(message: string): void {
  const bytes = utf8(message);
  log_write(3, bytes.dataStart, bytes.length);
}

// ---- answers: memory of the proxy's until it calls the `__post` function ----

/** Memory that belongs to one answer. */
export class Answer {
  private parts: usize[] = [];
  readonly at: usize;

  constructor(size: usize) {
    this.at = this.room(size);
  }

  /** Zeroed memory. */
  room(size: usize): usize {
    const at = heap.alloc(size);
    memory.fill(at, 0, size);
    this.parts.push(at);
    return at;
  }

  /** A string or list of bytes at `at`. */
  bytes(at: usize, bytes: Uint8Array): void {
    const copy = this.room(max(bytes.length, 1));
    memory.copy(copy, bytes.dataStart, bytes.length);
    store<u32>(at, <u32>copy);
    store<u32>(at, bytes.length, 4);
  }

  /** A list at `at` of `length` items of `size` bytes each: where the items stand. */
  list(at: usize, length: u32, size: usize): usize {
    const items = this.room(<usize>length * size);
    store<u32>(at, <u32>items);
    store<u32>(at, length, 4);
    return items;
  }

  /** Hand it over: the hook returns this. */
  give(): usize {
    given = this;
    return this.at;
  }

  free(): void {
    for (let i = 0; i < this.parts.length; i++) heap.free(this.parts[i]);
  }
}

let given: Answer | null = null;

/** What every `__post` function does. */
export function free(): void {
  const answer = given;
  if (answer) answer.free();
  given = null;
}
