/**
 * CRC-64/NVME at the speed of memory: {@link crc64Over} gives a function that takes views into one shared memory.
 *
 * The CRC is the remainder of the message, as one long polynomial over GF(2), by P. The usual way looks up eight tables for
 * eight bytes (`foldWord`), and its limit is these loads: 1.7 GB/s where hash-wasm gives 1.4. WebAssembly has no carryless
 * multiplication, which native programs use instead. But one may subtract any multiple of P, and some multiples have few
 * terms. With
 *
 *     x^1104 + x^892 + x^787 + x^561 + x^551 + x^473 + x^232 + x^160 + 1  =  0  (mod P)
 *
 * a bit may be deleted if it is added again at eight places 212 to 1104 bits further on. Squaring in GF(2) doubles the
 * exponents and adds no term, so the same holds for the exponents times 64: a whole *word* may be deleted if it is added at
 * eight places 212 to 1104 words further on. That is loads and XORs of 128 bits, no shift, no table: 6 GB/s. Seen from the
 * place where it arrives: what word i amounts to is itself XOR what the words i - 1104, i - 944, … amounted to. Those
 * 1104 are kept in the workspace; at the end they are left over, and go through the tables together with the last 1104 words.
 *
 * The idea is S. Russell's ("Chorba: A novel CRC32 implementation", arXiv:2412.16398). The multiple was found by a birthday
 * search over four sums of two powers of x; with nine terms there should be about one below degree 960, so fewer terms
 * mean a history that leaves the L1 cache, and more terms mean more loads.
 *
 * P, the initial value and the check value: catalogue of parametrised CRC algorithms, CRC-64/NVME.
 */
import { block, i32, i64, memory as bulk, moduleOf, repeatWhile, v128, when, type Code } from "./wasm.ts";

/** x^63 first, as all bits here: the CRC is a reflected one. */
const POLYNOMIAL = { high: 0x9a6c9329, low: 0xac4bc9b5 };
const TABLE_BYTES = 256 * 8;
const TABLES_BYTES = 8 * TABLE_BYTES;

const WORD_BYTES = 8;
const VECTOR_BYTES = 16;
/** How many words back those lie that a word takes over. */
const LAGS_WORDS = [1104, 944, 872, 631, 553, 543, 317, 212];
const HISTORY_BYTES = 1104 * WORD_BYTES;
/** So much is folded before the history moves to the front again. Together with it, it should stay in the L1 cache. */
const ROUND_BYTES = 8192;
const UNROLLED = 4;

/** What {@link crc64Over} needs of the memory for itself, from an address that is a multiple of 16. */
export const CRC64_WORKSPACE_BYTES = TABLES_BYTES + HISTORY_BYTES + Math.max(ROUND_BYTES, HISTORY_BYTES);

/**
 * The CRC of a view into `memory`, little-endian. Each thread that calls needs a workspace of its own; the memory must not
 * be one that grows.
 */
export function crc64Over(memory: WebAssembly.Memory, workspace: number): (bytes: Uint8Array) => Uint8Array {
  fillTables(new Uint32Array(memory.buffer, workspace, TABLES_BYTES / 4));
  const compiled = new WebAssembly.Module(writeModule(workspace, memory.buffer.byteLength / 65_536));
  const { exports } = new WebAssembly.Instance(compiled, { world: { memory } });
  const run = exports["run"] as (address: number, length: number) => bigint;
  return (bytes) => {
    if (bytes.buffer !== memory.buffer) {
      throw new TypeError("Cannot compute a CRC: the bytes do not lie in the memory it was made for");
    }
    const crc = new Uint8Array(WORD_BYTES);
    new DataView(crc.buffer).setBigUint64(0, BigInt.asUintN(64, run(bytes.byteOffset, bytes.length)), true);
    return crc;
  };
}

/** Table k: what a byte is worth that is followed by k bytes of zero. In halves: as bigints it is megabytes of garbage. */
function fillTables(halves: Uint32Array): void {
  const low = (index: number): number => halves[2 * index] ?? 0;
  const high = (index: number): number => halves[2 * index + 1] ?? 0;
  for (let byte = 0; byte < 256; byte++) {
    halves.set([byte, 0], 2 * byte);
    for (let bit = 0; bit < 8; bit++) {
      const isOdd = (low(byte) & 1) === 1;
      const halved = [(low(byte) >>> 1) | (high(byte) << 31), high(byte) >>> 1] as const;
      halves.set(isOdd ? [halved[0] ^ POLYNOMIAL.low, halved[1] ^ POLYNOMIAL.high] : halved, 2 * byte);
    }
  }
  for (let index = 256; index < 8 * 256; index++) {
    const [lower, upper] = [low(index - 256), high(index - 256)];
    const last = lower & 0xff;
    halves.set([((lower >>> 8) | (upper << 24)) ^ low(last), (upper >>> 8) ^ high(last)], 2 * index);
  }
}

function writeModule(workspace: number, pages: number): Uint8Array<ArrayBuffer> {
  const history = workspace + TABLES_BYTES;
  const round = history + HISTORY_BYTES;

  return moduleOf(
    { parameters: ["i32", "i32"], locals: ["i64", "i32", "v128"] },
    pages,
    (...[address, length, crc, at, initial]) => {
      if (!address || !length || !crc || !at || !initial)
        throw new Error("Cannot write the module: a local is missing");

      const advance = (bytes: number): Code =>
        block(
          address.set(i32.add(address.get, i32.const(bytes))),
          length.set(i32.subtract(length.get, i32.const(bytes))),
        );

      /** Table k, at the byte of `value` that lies `shift` bits up. */
      const lookUp = (k: number, value: Code, shift: number): Code => {
        const entry =
          shift === 0 ? i64.shiftLeft(value, i64.const(3)) : i64.shiftRight(value, i64.const(shift - 3));
        return i64.load(i32.and(i32.wrap(entry), i32.const(0xff << 3)), workspace + k * TABLE_BYTES);
      };
      const foldWord = (word: Code): Code =>
        block(
          crc.set(i64.xor(crc.get, word)),
          crc.set(
            [0, 1, 2, 3, 4, 5, 6, 7].map((byte) => lookUp(7 - byte, crc.get, 8 * byte)).reduce(i64.xor),
          ),
        );
      const foldByte = block(
        crc.set(i64.xor(crc.get, i64.loadByte(address.get))),
        crc.set(i64.xor(lookUp(0, crc.get, 0), i64.shiftRight(crc.get, i64.const(8)))),
      );

      const foldVector = (offset: number): Code => {
        const data = v128.load(address.get, offset);
        const taken = LAGS_WORDS.map((lag) => v128.load(at.get, round + offset - lag * WORD_BYTES));
        // All ones into the first word of the message, and nothing afterwards.
        return v128.store(
          at.get,
          [...(offset === 0 ? [v128.xor(data, initial.get)] : [data]), ...taken].reduce(v128.xor),
          round + offset,
        );
      };
      const strideBytes = UNROLLED * VECTOR_BYTES;
      const foldRound = block(
        at.set(i32.const(0)),
        repeatWhile(
          i32.lessThan(at.get, i32.const(ROUND_BYTES)),
          ...Array.from({ length: UNROLLED }, (_, index) => foldVector(index * VECTOR_BYTES)),
          initial.set(v128.const({ low: 0, high: 0 })),
          advance(strideBytes),
          at.set(i32.add(at.get, i32.const(strideBytes))),
        ),
        bulk.copy(i32.const(history), i32.const(history + ROUND_BYTES), i32.const(HISTORY_BYTES)),
      );

      /** The words of the history into those that follow, of which none is deleted any more. */
      const foldHistory = block(
        bulk.fill(i32.const(round), i32.const(0), i32.const(HISTORY_BYTES)),
        crc.set(i64.const(0)),
        at.set(i32.const(0)),
        repeatWhile(
          i32.lessThan(at.get, i32.const(HISTORY_BYTES)),
          foldWord(
            [
              i64.load(address.get),
              ...LAGS_WORDS.map((lag) => i64.load(at.get, round - lag * WORD_BYTES)),
            ].reduce(i64.xor),
          ),
          advance(WORD_BYTES),
          at.set(i32.add(at.get, i32.const(WORD_BYTES))),
        ),
      );

      const remain = (bytes: number): Code => i32.atLeast(length.get, i32.const(bytes));
      const roundRemains = remain(ROUND_BYTES + HISTORY_BYTES);
      return block(
        crc.set(i64.const(-1)),
        when(
          roundRemains,
          initial.set(v128.const({ low: 0xff, high: 0 })),
          bulk.fill(i32.const(history), i32.const(0), i32.const(HISTORY_BYTES)),
          repeatWhile(roundRemains, foldRound),
          foldHistory,
        ),
        when(
          remain(WORD_BYTES),
          repeatWhile(remain(WORD_BYTES), foldWord(i64.load(address.get)), advance(WORD_BYTES)),
        ),
        when(remain(1), repeatWhile(remain(1), foldByte, advance(1))),
        i64.xor(crc.get, i64.const(-1)),
      );
    },
  );
}
