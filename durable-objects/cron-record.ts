/**
 * When the minute's sweep ran last: one object, asked by the health check. In an object and not in D1, so that it is known
 * that the sweep runs even while D1 is what is broken.
 */
import { DurableObject } from "cloudflare:workers";

const KEY = "ranAtMs";

export class CronRecord extends DurableObject {
  async ran(atMs: number): Promise<void> {
    this.ctx.storage.kv.put(KEY, atMs);
  }

  /** Null before the first run. */
  async lastRunMs(): Promise<number | null> {
    return this.ctx.storage.kv.get<number>(KEY) ?? null;
  }
}
