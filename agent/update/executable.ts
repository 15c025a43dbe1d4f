/**
 * The executable of this agent and the two files beside it: `….new`, which is being downloaded, and `….previous`, which was
 * here before. Hides how one takes the place of the other on a system that may not overwrite a program that runs.
 */
import { DiskError, type NewFile, type Platform } from "../platform.ts";

const READ_BYTES = 1024 * 1024;

export interface ExecutableInput {
  readonly platform: Platform;
  /** Without any link in it. */
  readonly path: string;
  /** Gives a file the rights of another. Throws {@link DiskError}. */
  readonly copyRights: (from: string, to: string) => void;
}

export class Executable {
  readonly path: string;
  readonly #input: ExecutableInput;

  constructor(input: ExecutableInput) {
    this.path = input.path;
    this.#input = input;
  }

  get #staged(): string {
    return `${this.path}.new`;
  }

  get #previous(): string {
    return `${this.path}.previous`;
  }

  /** Begins the new one; throws {@link DiskError} where this folder is not ours to write. */
  stage(): NewFile {
    return this.#input.platform.disk.create(this.#staged);
  }

  /** What lies there to be installed, read from the disk; null where nothing does. */
  async staged(signal: AbortSignal): Promise<{ sizeBytes: number; sha256: string } | null> {
    const { disk, hash: newHash } = this.#input.platform;
    try {
      const file = await disk.open(this.#staged);
      try {
        const hash = newHash("sha256");
        const buffer = new Uint8Array(READ_BYTES);
        let sizeBytes = 0;
        for (;;) {
          signal.throwIfAborted();
          const count = await file.read(buffer, sizeBytes);
          if (count === 0) break;
          hash.update(buffer.subarray(0, count));
          sizeBytes += count;
        }
        const sha256 = Array.from(hash.digest(), (byte) => byte.toString(16).padStart(2, "0")).join("");
        return { sizeBytes, sha256 };
      } finally {
        file.close();
      }
    } catch (error) {
      if (error instanceof DiskError && error.code === "not_found") return null;
      throw error;
    }
  }

  dropStaged(): void {
    this.#remove(this.#staged);
  }

  /** Puts the new one in the old one's place and keeps the old one. Throws {@link DiskError}; then the old one is in place. */
  install(): void {
    const { changes, disk } = this.#input.platform;
    this.#input.copyRights(this.path, this.#staged);
    this.#remove(this.#previous);
    if (disk.separator === "/") {
      // There is an executable at its place at any moment.
      changes.link(this.path, this.#previous);
      changes.rename(this.#staged, this.path);
    } else {
      // A program that runs can be moved there, but nothing can take its name before.
      changes.rename(this.path, this.#previous);
      this.#orBack(() => changes.rename(this.#staged, this.path), this.#previous);
    }
    this.#syncFolder();
  }

  /** Puts the previous one back. Throws {@link DiskError} where there is none; then the present one stays. */
  restore(): void {
    const { changes, disk } = this.#input.platform;
    disk.stat(this.#previous);
    if (disk.separator === "/") {
      changes.rename(this.#previous, this.path);
    } else {
      const aside = `${this.path}.failed`;
      this.#remove(aside);
      changes.rename(this.path, aside);
      this.#orBack(() => changes.rename(this.#previous, this.path), aside);
    }
    this.#syncFolder();
  }

  #orBack(move: () => void, from: string): void {
    try {
      move();
    } catch (error) {
      this.#input.platform.changes.rename(from, this.path);
      throw error;
    }
  }

  #remove(path: string): void {
    try {
      this.#input.platform.changes.removeFile(path);
    } catch (error) {
      if (!(error instanceof DiskError && error.code === "not_found")) throw error;
    }
  }

  #syncFolder(): void {
    const { changes, disk } = this.#input.platform;
    changes.syncFolder(this.path.slice(0, this.path.lastIndexOf(disk.separator)) || disk.separator);
  }
}
