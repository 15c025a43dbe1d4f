import { DatabaseSync } from "node:sqlite";
import { beforeEach, describe, expect, test } from "vitest";
import { LimitBook, type LimitSql } from "../durable-objects/limit-book.ts";

/** Real SQLite, in Node. */
function openSql(): LimitSql {
  const database = new DatabaseSync(":memory:");
  return {
    exec(sql, ...values) {
      if (values.length === 0 && sql.includes(";")) {
        database.exec(sql);
        return { toArray: () => [] };
      }
      const rows = database.prepare(sql).all(...values) as Record<string, unknown>[];
      return { toArray: () => rows };
    },
  };
}

const MINUTE = { count: 100, windowMs: 60_000 };
const HOUR = { perKey: { count: 10, windowMs: 3_600_000 }, inAll: 1_000 };
const START_MS = 1_800_000_000_000;

let nowMs: number;
let sql: LimitSql;
let book: LimitBook;
beforeEach(() => {
  nowMs = START_MS;
  sql = openSql();
  book = new LimitBook(sql, () => nowMs);
});

describe("uses", () => {
  test("[I5] in no minute, wherever it begins, are there more than the limit", () => {
    const allowedMs: number[] = [];
    for (let step = 0; step < 4_000; step++) {
      nowMs += (step * 7_919) % 400;
      if (book.use("a", MINUTE).allowed) allowedMs.push(nowMs);
    }
    for (const [index, atMs] of allowedMs.entries()) {
      const within = allowedMs.slice(index).filter((other) => other < atMs + 60_000);
      expect(within.length).toBeLessThanOrEqual(100);
    }
    expect(allowedMs.length).toBeGreaterThan(1_000);
  });

  test("[I5] the answer says what is left, and when one more is allowed; then it is", () => {
    expect(book.use("a", MINUTE)).toEqual({
      allowed: true,
      limit: 100,
      remaining: 99,
      resetMs: START_MS + 60_000,
    });
    nowMs += 1_000;
    for (let used = 1; used < 100; used++) book.use("a", MINUTE);
    const refused = book.use("a", MINUTE);
    expect(refused).toEqual({ allowed: false, limit: 100, remaining: 0, resetMs: START_MS + 60_000 });
    nowMs = refused.resetMs - 1;
    expect(book.use("a", MINUTE).allowed).toBe(false);
    nowMs = refused.resetMs;
    expect(book.use("a", MINUTE).allowed).toBe(true);
    expect(book.use("a", MINUTE).allowed).toBe(false);
  });

  test("[I5] what was refused does not count, keys do not count for each other, and looking counts nothing", () => {
    for (let used = 0; used < 300; used++) book.use("a", MINUTE);
    expect(book.use("b", MINUTE).remaining).toBe(99);
    for (let looked = 0; looked < 300; looked++) expect(book.look("b", MINUTE).remaining).toBe(99);
    nowMs += 60_000;
    expect(book.use("a", MINUTE).remaining).toBe(99);
  });

  test("[I5] an object that slept counts on, and forgets what is over", () => {
    for (let used = 0; used < 100; used++) book.use("a", MINUTE);
    const woken = new LimitBook(sql, () => nowMs);
    expect(woken.use("a", MINUTE).allowed).toBe(false);
    expect(woken.tidy()).toBe(true);
    nowMs += 60_000;
    expect(woken.tidy()).toBe(false);
  });
});

describe("guesses", () => {
  const guessWrong = (key: string) => {
    const begun = book.begin(key, HOUR);
    if (begun.kind === "open") book.wrong(begun.id);
    return begun;
  };

  test("[I1] an address gets ten wrong ones an hour, looked at, and not an eleventh until the first is an hour old", () => {
    for (let index = 0; index < 10; index++) {
      expect(guessWrong("a").kind).toBe("open");
      nowMs += 1_000;
    }
    expect(guessWrong("a")).toEqual({ kind: "blocked", untilMs: START_MS + 3_600_000 });
    expect(guessWrong("b").kind).toBe("open");
    nowMs = START_MS + 3_600_000 - 1;
    expect(guessWrong("a").kind).toBe("blocked");
    nowMs = START_MS + 3_600_000;
    expect(guessWrong("a").kind).toBe("open");
    expect(guessWrong("a").kind).toBe("blocked");
  });

  test("[I1] right ones never count, and many at once are never more than ten undecided", () => {
    for (let index = 0; index < 50; index++) {
      const begun = book.begin("a", HOUR);
      expect(begun).toMatchObject({ kind: "open", byHand: false });
      if (begun.kind === "open") book.right(begun.id);
    }
    const ids = Array.from({ length: 10 }, () => book.begin("a", HOUR)).map((begun) =>
      begun.kind === "open" ? begun.id : -1,
    );
    expect(ids).not.toContain(-1);
    expect(book.begin("a", HOUR).kind).toBe("wait");
    book.right(ids[0] ?? -1);
    expect(book.begin("a", HOUR).kind).toBe("open");
    expect(book.begin("a", HOUR).kind).toBe("wait");
  });

  test("[I1] a guess whose end is never told counts as wrong, also after the object slept", () => {
    for (let index = 0; index < 10; index++) book.begin("a", HOUR);
    const woken = new LimitBook(sql, () => nowMs);
    expect(woken.begin("a", HOUR).kind).toBe("blocked");
    nowMs += 31_000;
    expect(book.begin("a", HOUR).kind).toBe("blocked");
  });

  test("[I2] all failures of the last hour are counted together, exactly", () => {
    for (let address = 0; address < 100; address++) {
      for (let index = 0; index < 10; index++) {
        expect(guessWrong(`address ${address}`)).toMatchObject({ kind: "open", byHand: false });
      }
    }
    expect(guessWrong("another")).toMatchObject({ kind: "open", byHand: true, isFirstByHand: true });
    expect(guessWrong("another")).toMatchObject({ kind: "open", byHand: true, isFirstByHand: false });
    nowMs += 3_600_000;
    expect(guessWrong("another")).toMatchObject({ kind: "open", byHand: false });
  });
});
