/** Files that are made while they are read: at no time is more of one in memory than what goes out next. */

/** About what a body is cut into: less costs time for each piece, more costs memory for each reader. */
const PIECE_CHARACTERS = 64 * 1024;

/** The texts as bytes, made only as fast as somebody takes them. */
export function streamOf(texts: AsyncIterator<string, void>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        let piece = "";
        while (piece.length < PIECE_CHARACTERS) {
          const next = await texts.next();
          if (next.done === true) {
            if (piece !== "") controller.enqueue(encoder.encode(piece));
            controller.close();
            return;
          }
          piece += next.value;
        }
        controller.enqueue(encoder.encode(piece));
      },
      async cancel() {
        await texts.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}

/** Whole lines without their ends, as many at a time as came; one that is longer than `charactersMax` ends it. */
export async function* linesOf(
  pieces: AsyncIterable<Uint8Array>,
  charactersMax: number,
): AsyncGenerator<string[], void> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let rest = "";
  const linesIn = (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > charactersMax) throw new Error("Cannot read a manifest: a line is too long");
    return lines;
  };
  for await (const piece of pieces) {
    const lines = linesIn(decoder.decode(piece, { stream: true }));
    if (lines.length > 0) yield lines;
  }
  yield linesIn(decoder.decode());
  if (rest !== "") yield [rest];
}

/** What is unpacked at once; of what gzip packs best it becomes a thousand times as much. */
const PACKED_BYTES = 32 * 1024;
const UNPACKED_BYTES = 512 * 1024;

/**
 * Unpacks gzip, a piece at a time. A piece that was handed out may be written over when the next one is asked for.
 *
 * `DecompressionStream` takes all that it is given at once and keeps what comes of it until somebody reads (workerd,
 * `src/workerd/api/streams/compression.c++`): a pipe into it fills the memory with the whole file. So the next piece is
 * given only when nothing comes any more: what lies there ready comes before any timer. Timers cost more than bytes, hence
 * the long pieces. What is no gzip, not all of it or more than it is a TypeError.
 */
export async function* unpack(packed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const stream = new DecompressionStream("gzip");
  const input = stream.writable.getWriter();
  const output = stream.readable.getReader({ mode: "byob" });
  const readInto = (buffer: ArrayBufferLike) => {
    const reading = output.read(new Uint8Array(buffer as ArrayBuffer));
    // Looked at later, or not at all when the input ends it first.
    reading.catch(() => undefined);
    return reading;
  };
  let next = readInto(new ArrayBuffer(UNPACKED_BYTES));
  let waitingBytes = 0;
  try {
    for await (const piece of packed) {
      for (let from = 0; from < piece.length; from += PACKED_BYTES) {
        const some = piece.subarray(from, from + PACKED_BYTES);
        await input.write(some);
        waitingBytes += some.length;
        if (waitingBytes < PACKED_BYTES) continue;
        waitingBytes = 0;
        for (;;) {
          const found = await Promise.race([next, scheduler.wait(0)]);
          if (found === undefined || found.done) break;
          yield found.value;
          next = readInto(found.value.buffer);
        }
      }
    }
    await input.close();
    for (let last = await next; !last.done; last = await readInto(last.value.buffer)) yield last.value;
  } finally {
    await input.abort().catch(() => undefined);
    await output.cancel().catch(() => undefined);
  }
}
