/** The CRC-64/NVME, against the catalogue and against the definition, bit by bit. */
import assert from "node:assert/strict";
import { CRC64_WORKSPACE_BYTES, crc64Over } from "./crc64.ts";

const PAGES = 8;
/** Beyond this the words are folded without tables. */
const FOLDED_BYTES = 17_024;
const START = Math.ceil(CRC64_WORKSPACE_BYTES / 64) * 64;

function workplace() {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  const crc64 = crc64Over(memory, 0);
  const room = new Uint8Array(memory.buffer, START);
  return { memory, crc64, room };
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

/** The definition: all ones, the polynomial where a one falls out, all ones. In halves of 32 bits. */
function reference(bytes: Uint8Array): Uint8Array {
  let [low, high] = [0xffff_ffff, 0xffff_ffff];
  for (const byte of bytes) {
    low = (low ^ byte) >>> 0;
    for (let bit = 0; bit < 8; bit++) {
      const isOne = (low & 1) === 1;
      low = ((low >>> 1) | (high << 31)) >>> 0;
      high >>>= 1;
      if (isOne) [low, high] = [(low ^ 0xac4b_c9b5) >>> 0, (high ^ 0x9a6c_9329) >>> 0];
    }
  }
  const out = new DataView(new ArrayBuffer(8));
  out.setUint32(0, ~low >>> 0, true);
  out.setUint32(4, ~high >>> 0, true);
  return new Uint8Array(out.buffer);
}

Deno.test("[B20] the CRC-64 is the catalogue's CRC-64/NVME, little-endian", () => {
  const { crc64, room } = workplace();
  const of = (text: string) => crc64(room.subarray(0, new TextEncoder().encodeInto(text, room).written));
  assert.equal(new DataView(of("123456789").buffer).getBigUint64(0, true), 0xae8b14860a799888n);
  assert.equal(base64(of("")), "AAAAAAAAAAA=");
  assert.equal(base64(of("a")), "PPzLtEWEL4w=");
  assert.equal(base64(of("hello world")), "vo7q9sPVKY0=");
});

Deno.test("[B20] the CRC-64 is right at every length about where the way of computing it changes", () => {
  const { crc64, room } = workplace();
  fillRandom(room);
  const borders = [0, 8, 16, 64, FOLDED_BYTES, FOLDED_BYTES + 8_192, FOLDED_BYTES + 5 * 8_192];
  for (const border of borders) {
    for (let length = Math.max(0, border - 9); length <= border + 9; length++) {
      const bytes = room.subarray(3, 3 + length);
      assert.deepEqual(crc64(bytes), reference(bytes), `${length} bytes`);
    }
  }
});

Deno.test("[B20] the CRC-64 of a view at every alignment is right", () => {
  const { crc64, room } = workplace();
  fillRandom(room);
  for (const length of [1, 31, 1_000, FOLDED_BYTES + 8_197]) {
    for (let start = 0; start < 16; start++) {
      const bytes = room.subarray(start, start + length);
      assert.deepEqual(crc64(bytes), reference(bytes), `${length} bytes from ${start}`);
    }
  }
});

Deno.test("[B20] two workspaces in one memory do not disturb each other, and bytes from elsewhere are refused", () => {
  const { memory, crc64, room } = workplace();
  fillRandom(room);
  const other = crc64Over(memory, 256 * 1024);
  const bytes = room.subarray(0, 100_000);
  const expected = reference(bytes);
  assert.deepEqual([crc64(bytes), other(bytes), crc64(bytes)], [expected, expected, expected]);
  assert.throws(() => crc64(new Uint8Array(8)), /do not lie in the memory/);
});

function fillRandom(bytes: Uint8Array): void {
  const some = new Uint8Array(65_536);
  for (let at = 0; at < bytes.length; at += some.length) {
    bytes.set(crypto.getRandomValues(some).subarray(0, bytes.length - at), at);
  }
}
