/**
 * Full-jitter back-off: the delay is drawn anew between nothing and a ceiling that doubles, so that those who failed
 * together do not come back together.
 */
export const BACKOFF_MS_MIN = 1_000;
export const BACKOFF_MS_MAX = 60_000;

/** `tries` is how often it failed before, from 0; `chance` is at least 0, below 1. */
export function backoffMs(tries: number, chance: number): number {
  return Math.floor(chance * Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(tries, 16)));
}
