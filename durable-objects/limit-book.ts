/**
 * Counts exactly, in one object's SQLite: how often something was used within a window that slides, and who guessed wrong
 * within the last hour. Every count is durable before it is told, so an object that sleeps forgets nothing. What is kept
 * is bounded, whoever knocks.
 */

/** As much of an object's SQLite as is used; `node:sqlite` can play it. */
export interface LimitSql {
  exec(sql: string, ...values: (string | number | null)[]): { toArray(): Record<string, unknown>[] };
}

export interface Limit {
  readonly count: number;
  readonly windowMs: number;
}

export interface GuessLimits {
  readonly perKey: Limit;
  /** In all, within the same window; from there on what a right guess makes waits for a human. */
  readonly inAll: number;
}

export interface Use {
  readonly allowed: boolean;
  readonly limit: number;
  readonly remaining: number;
  /** When the oldest use that counts leaves the window: from then on one more is allowed. */
  readonly resetMs: number;
}

/** Addresses come and go; the ones that came first are forgotten first. */
export const KEYS_MAX = 50_000;
export const FAILURES_MAX = 50_000;
/** No try lasts this long; one that does has failed. */
const UNDECIDED_MS = 30_000;

export class LimitBook {
  readonly #sql: LimitSql;
  readonly #now: () => number;
  /** Tries that were let in and are not decided; each stands among the failures until it is known to be right. */
  readonly #undecided = new Map<number, { readonly key: string; readonly atMs: number }>();

  constructor(sql: LimitSql, now: () => number) {
    this.#sql = sql;
    this.#now = now;
    sql.exec(`
      CREATE TABLE IF NOT EXISTS uses (
        number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, times TEXT NOT NULL, until_ms INTEGER NOT NULL
      );
      CREATE INDEX IF NOT EXISTS uses_until ON uses (until_ms);
      CREATE TABLE IF NOT EXISTS failures (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, at_ms INTEGER NOT NULL);
      CREATE INDEX IF NOT EXISTS failures_key ON failures (key, at_ms);
      CREATE INDEX IF NOT EXISTS failures_at ON failures (at_ms);
    `);
  }

  /** Counts one use, unless the window is full. What is refused does not count, so asking again prolongs nothing. */
  use(key: string, limit: Limit): Use {
    return this.#take(key, limit, 1);
  }

  /** What {@link use} would say, without counting. */
  look(key: string, limit: Limit): Use {
    return this.#take(key, limit, 0);
  }

  #take(key: string, { count: limit, windowMs }: Limit, more: 0 | 1): Use {
    const nowMs = this.#now();
    const [row] = this.#sql.exec("SELECT times FROM uses WHERE key = ?", key).toArray();
    const held = row === undefined ? [] : (JSON.parse(String(row["times"])) as number[]);
    const times = held.filter((atMs) => atMs > nowMs - windowMs);
    const allowed = times.length < limit;
    if (allowed && more === 1) {
      times.push(nowMs);
      const [kept] = this.#sql
        .exec(
          `INSERT INTO uses (key, times, until_ms) VALUES (?1, ?2, ?3)
           ON CONFLICT (key) DO UPDATE SET times = ?2, until_ms = ?3 RETURNING number`,
          key,
          JSON.stringify(times),
          nowMs + windowMs,
        )
        .toArray();
      if (row === undefined)
        this.#sql.exec("DELETE FROM uses WHERE number <= ?", Number(kept?.["number"]) - KEYS_MAX);
    }
    const resetMs = (times[0] ?? nowMs) + windowMs;
    return { allowed, limit, remaining: Math.max(0, limit - times.length), resetMs };
  }

  /**
   * Lets a guess in, or not. It counts as wrong until {@link right} says otherwise, so that however many come at once no more
   * than `perKey` wrong ones are looked at. `wait`: as many as that are being looked at now, and some may turn out right.
   */
  begin(key: string, { perKey, inAll }: GuessLimits): Begun {
    const nowMs = this.#now();
    this.#sql.exec("DELETE FROM failures WHERE at_ms <= ?", nowMs - perKey.windowMs);
    for (const [id, { atMs }] of this.#undecided)
      if (atMs <= nowMs - UNDECIDED_MS) this.#undecided.delete(id);
    const [mine] = this.#sql
      .exec("SELECT count(*) AS count, min(at_ms) AS first FROM failures WHERE key = ?", key)
      .toArray();
    if (Number(mine?.["count"]) >= perKey.count) {
      const isOpen = [...this.#undecided.values()].some((other) => other.key === key);
      return isOpen
        ? { kind: "wait" }
        : { kind: "blocked", untilMs: Number(mine?.["first"]) + perKey.windowMs };
    }
    // No further than it matters: a flood must not make each count longer.
    const [all] = this.#sql
      .exec("SELECT count(*) AS count FROM (SELECT 1 FROM failures LIMIT ?)", inAll + 1)
      .toArray();
    const [made] = this.#sql
      .exec("INSERT INTO failures (key, at_ms) VALUES (?, ?) RETURNING id", key, nowMs)
      .toArray();
    const id = Number(made?.["id"]);
    this.#undecided.set(id, { key, atMs: nowMs });
    this.#sql.exec("DELETE FROM failures WHERE id <= ?", id - FAILURES_MAX);
    const failuresInAll = Number(all?.["count"]);
    return { kind: "open", id, byHand: failuresInAll >= inAll, isFirstByHand: failuresInAll === inAll };
  }

  /** The guess was right: it never counted. */
  right(id: number): void {
    this.#undecided.delete(id);
    this.#sql.exec("DELETE FROM failures WHERE id = ?", id);
  }

  wrong(id: number): void {
    this.#undecided.delete(id);
  }

  /** Forgets what is over; resolves with whether anything is left to forget later. */
  tidy(): boolean {
    this.#sql.exec("DELETE FROM uses WHERE until_ms <= ?", this.#now());
    return this.#sql.exec("SELECT 1 FROM uses LIMIT 1").toArray().length > 0;
  }
}

export type Begun =
  | { readonly kind: "open"; readonly id: number; readonly byHand: boolean; readonly isFirstByHand: boolean }
  | { readonly kind: "wait" }
  | { readonly kind: "blocked"; readonly untilMs: number };
