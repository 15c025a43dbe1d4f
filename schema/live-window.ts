/**
 * How far a dashboard's socket may be behind. The viewer says `r<n>` when it has read n more frames; the server sends no
 * more than {@link LIVE_UNREAD_MAX} beyond that, and what comes meanwhile is sent later as the newest of everything.
 *
 * Without zod, so that the dashboard's first view takes it as it is.
 */

/** Characters are those of the frames' texts. */
export const LIVE_UNREAD_MAX = { frames: 32, characters: 256 * 1024 } as const;
/** After so much at the latest a viewer says it. */
export const LIVE_READ_EVERY = { frames: 8, characters: 64 * 1024 } as const;

/** Counts what a viewer has read, and tells it when it is time to say so. */
export class ReadCounter {
  #frames = 0;
  #characters = 0;

  /** A frame was read. Answers the word that is to be said now, if any. */
  count(text: string): string | null {
    this.#frames++;
    this.#characters += text.length;
    if (this.#frames < LIVE_READ_EVERY.frames && this.#characters < LIVE_READ_EVERY.characters) return null;
    const word = `r${this.#frames}`;
    this.#frames = 0;
    this.#characters = 0;
    return word;
  }
}

/** How many more frames a viewer has read; null = it said something else. */
export function framesRead(word: string): number | null {
  return /^r[1-9]\d{0,3}$/.test(word) ? Number(word.slice(1)) : null;
}
