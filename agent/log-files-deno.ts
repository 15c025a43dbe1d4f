/**
 * The agent's log on the disk, for whoever comes later: `agent.log`, and behind it the older ones, `agent.1.log` and on. Hides
 * when a file is full; promises that there are never more bytes than {@link LOG_BYTES_MAX} times {@link LOG_FILES_MAX}, that only this account
 * may read them, and that a disk that is full or forbids it stops nobody and is told of once, until it takes lines again.
 */
import { LOG_FILES_MAX, logFileName } from "./commands/logs.ts";

export const LOG_BYTES_MAX = 5 * 1024 * 1024;
/** A line is a few hundred; one that is longer says it in its beginning. */
const LINE_BYTES_MAX = 64 * 1024;
const encoder = new TextEncoder();

/** What is used of `Deno.FsFile`. */
interface AppendedFile {
  writeSync(bytes: Uint8Array): number;
  close(): void;
}

export class LogFiles {
  readonly #folder: string;
  readonly #bytesMax: number;
  #file: AppendedFile | null = null;
  #sizeBytes = 0;
  readonly #onRefused: (reason: string) => void;
  #isRefused = false;

  /** `folder` is made with the first line; without a separator at its end. `onRefused` hears that the disk takes no line. */
  constructor(
    folder: string,
    bytesMax = LOG_BYTES_MAX,
    onRefused: (reason: string) => void = () => undefined,
  ) {
    this.#folder = folder;
    this.#bytesMax = bytesMax;
    this.#onRefused = onRefused;
  }

  /** One line, without its end. */
  write(line: string): void {
    const bytes = encoder.encode(`${line}\n`);
    const short = bytes.length <= LINE_BYTES_MAX ? bytes : cut(bytes);
    try {
      if (this.#file === null) this.#open();
      if (this.#sizeBytes > 0 && this.#sizeBytes + short.length > this.#bytesMax) this.#rotate();
      this.#append(short);
      this.#isRefused = false;
    } catch (error) {
      // Tried again with the next line; the same line went to stderr.
      this.#close();
      if (this.#isRefused) return;
      this.#isRefused = true;
      this.#onRefused(error instanceof Error ? error.message : String(error));
    }
  }

  #open(): void {
    Deno.mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const file = Deno.openSync(this.#path(0), { append: true, create: true, mode: 0o600 });
    this.#file = file;
    this.#sizeBytes = file.statSync().size;
  }

  #append(bytes: Uint8Array): void {
    for (let written = 0; written < bytes.length;) {
      const count = this.#file?.writeSync(bytes.subarray(written)) ?? bytes.length;
      written += count;
      this.#sizeBytes += count;
    }
  }

  #rotate(): void {
    this.#close();
    for (let number = LOG_FILES_MAX - 2; number >= 0; number--) {
      try {
        Deno.renameSync(this.#path(number), this.#path(number + 1));
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    this.#open();
  }

  #close(): void {
    this.#file?.close();
    this.#file = null;
  }

  #path(number: number): string {
    return `${this.#folder}${Deno.build.os === "windows" ? "\\" : "/"}${logFileName(number)}`;
  }
}

function cut(bytes: Uint8Array): Uint8Array {
  const short = bytes.slice(0, LINE_BYTES_MAX);
  short[LINE_BYTES_MAX - 1] = 0x0a;
  return short;
}
