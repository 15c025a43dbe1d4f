/**
 * Writes WebAssembly: just the instructions this program needs, as functions that nest the way the text format does, and a
 * module of one function over one shared memory. It spares a compiler in the tool chain and bytes in the repository that
 * nobody can read. The numbers are those of the WebAssembly core specification, chapter "Binary Format".
 */

export type Code = readonly number[];

const I32 = 0x7f;
const I64 = 0x7e;
const V128 = 0x7b;
const MAGIC = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
/** A block that leaves nothing on the stack. */
const EMPTY = 0x40;
const END = 0x0b;

export const i32 = {
  const: (value: number): Code => [0x41, ...signed(value)],
  lessThan: binary(0x49),
  atLeast: binary(0x4f),
  add: binary(0x6a),
  subtract: binary(0x6b),
  and: binary(0x71),
  /** The low half of an i64. */
  wrap: (value: Code): Code => [...value, 0xa7],
};

export const i64 = {
  const: (value: number): Code => [0x42, ...signed(value)],
  load: (address: Code, offset = 0): Code => [...address, 0x29, 0, ...unsigned(offset)],
  loadByte: (address: Code, offset = 0): Code => [...address, 0x31, 0, ...unsigned(offset)],
  xor: binary(0x85),
  shiftLeft: binary(0x86),
  shiftRight: binary(0x88),
};

export const v128 = {
  load: (address: Code, offset = 0): Code => [...address, 0xfd, 0, 0, ...unsigned(offset)],
  store: (address: Code, value: Code, offset = 0): Code => [
    ...address,
    ...value,
    0xfd,
    11,
    0,
    ...unsigned(offset),
  ],
  /** Each half one byte, eight times. */
  const: ({ low, high }: { low: number; high: number }): Code => [0xfd, 12, ...eight(low), ...eight(high)],
  xor: binary(0xfd, 81),
};

export const memory = {
  copy: (to: Code, from: Code, length: Code): Code => [...to, ...from, ...length, 0xfc, 10, 0, 0],
  fill: (to: Code, value: Code, length: Code): Code => [...to, ...value, ...length, 0xfc, 11, 0],
};

export interface Local {
  readonly get: Code;
  set(value: Code): Code;
}

export function block(...steps: readonly Code[]): Code {
  return steps.flat();
}

export function when(condition: Code, ...steps: readonly Code[]): Code {
  return [...condition, 0x04, EMPTY, ...steps.flat(), END];
}

/** Runs at least once, and again as long as the condition holds afterwards. */
export function repeatWhile(condition: Code, ...steps: readonly Code[]): Code {
  return [0x03, EMPTY, ...steps.flat(), ...condition, 0x0d, 0, END];
}

/** The types of the function's locals: its parameters are the first ones, and i32; its result is an i64. */
export interface Signature {
  readonly parameters: readonly "i32"[];
  readonly locals: readonly ("i32" | "i64" | "v128")[];
}

/** A module that exports one function, `run`, and imports the memory it works on, `world.memory`, of exactly `pages`. */
export function moduleOf(
  { parameters, locals }: Signature,
  pages: number,
  write: (...locals: readonly Local[]) => Code,
): Uint8Array<ArrayBuffer> {
  const code = write(...[...parameters, ...locals].map((_, index) => local(index)));
  const types = { i32: I32, i64: I64, v128: V128 };
  const declared = list(locals.map((type) => [1, types[type]]));
  const body = sized([...declared, ...code, END]);
  return new Uint8Array([
    ...MAGIC,
    ...section(1, [[0x60, ...list(parameters.map((type) => [types[type]])), 1, I64]]),
    // 2: a memory; 3: shared, and with a largest size.
    ...section(2, [[...text("world"), ...text("memory"), 2, 3, ...unsigned(pages), ...unsigned(pages)]]),
    ...section(3, [[0]]),
    ...section(7, [[...text("run"), 0, 0]]),
    ...section(10, [body]),
  ]);
}

function local(index: number): Local {
  return { get: [0x20, index], set: (value) => [...value, 0x21, index] };
}

function binary(...operation: readonly number[]): (left: Code, right: Code) => Code {
  // Numbers above 127 that name a SIMD instruction take two bytes; none here does.
  return (left, right) => [...left, ...right, ...operation];
}

function eight(byte: number): Code {
  return Array.from({ length: 8 }, () => byte);
}

function section(id: number, items: readonly Code[]): Code {
  return [id, ...sized(list(items))];
}

function list(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()];
}

function sized(code: Code): Code {
  return [...unsigned(code.length), ...code];
}

function text(word: string): Code {
  return sized([...new TextEncoder().encode(word)]);
}

/** LEB128: seven bits a byte, the lowest first, the top bit set where another byte follows. */
function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

/** The same, ended where the rest is nothing but the sign, bit 6 of the last byte. */
function signed(value: number): Code {
  return value >= -0x40 && value < 0x40 ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}
