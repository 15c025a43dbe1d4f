/**
 * Who asked first, for things that are made once though they are asked for twice and that have no row of their own to look
 * the request's key up in. One object per organization; what is held is forgotten after a day.
 */
import { DurableObject } from "cloudflare:workers";

const HELD_MS = 24 * 3_600_000;
const HELD_MAX = 10_000;

export class Claims extends DurableObject {
  constructor(context: DurableObjectState, env: object) {
    super(context, env);
    context.storage.sql.exec(`
      CREATE TABLE IF NOT EXISTS claims (number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, value TEXT NOT NULL, at_ms INTEGER NOT NULL);
      CREATE INDEX IF NOT EXISTS claims_at ON claims (at_ms);
    `);
  }

  /** The value that was claimed under this key first, which is the given one when nobody was before. */
  async claim(orgId: string, key: string, value: string): Promise<string> {
    if (this.ctx.id.name !== orgId) throw new Error("The claims belong to another organization");
    const { sql } = this.ctx.storage;
    sql.exec("DELETE FROM claims WHERE at_ms <= ?", Date.now() - HELD_MS);
    const [held] = sql.exec<{ value: string }>("SELECT value FROM claims WHERE key = ?", key).toArray();
    if (held !== undefined) return held.value;
    const { number } = sql
      .exec<{
        number: number;
      }>("INSERT INTO claims (key, value, at_ms) VALUES (?, ?, ?) RETURNING number", key, value, Date.now())
      .one();
    sql.exec("DELETE FROM claims WHERE number <= ?", number - HELD_MAX);
    await this.ctx.storage.setAlarm(Date.now() + HELD_MS);
    return value;
  }

  override async alarm(): Promise<void> {
    this.ctx.storage.sql.exec("DELETE FROM claims WHERE at_ms <= ?", Date.now() - HELD_MS);
  }
}
