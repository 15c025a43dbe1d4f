/**
 * What Cloudflare charges for what the product uses, in US dollars: the one place where a price stands. Workers Paid; the
 * plan's own $5 a month are not in it.
 *
 * Read on 2026-11-23: "Durable Objects: Pricing" (developers.cloudflare.com/durable-objects/platform/pricing), "D1: Pricing"
 * (developers.cloudflare.com/d1/platform/pricing), "Workers: Pricing" (developers.cloudflare.com/workers/platform/pricing),
 * "R2: Pricing" (developers.cloudflare.com/r2/pricing).
 */
export interface Price {
  readonly dollarsPerMillion: number;
  /** In a month, of the whole account. */
  readonly included: number;
}

/** Incoming ones only; so many count as one request. */
export const MESSAGES_PER_REQUEST = 20;
/** An object is charged as if it always had this much memory. */
export const OBJECT_GIGABYTES = 0.128;

export const PRICES = {
  workerRequests: { dollarsPerMillion: 0.3, included: 10_000_000 },
  workerCpuMs: { dollarsPerMillion: 0.02, included: 30_000_000 },
  /** HTTP and RPC calls, alarms that ring, messages of sockets. */
  objectRequests: { dollarsPerMillion: 0.15, included: 1_000_000 },
  objectGigabyteSeconds: { dollarsPerMillion: 12.5, included: 400_000 },
  /** D1; an object's own SQLite costs the same, and has as much included again, which is left out here. */
  rowsRead: { dollarsPerMillion: 0.001, included: 25_000_000_000 },
  /** Each index that changes with a row is another one; so is each alarm that is set. */
  rowsWritten: { dollarsPerMillion: 1, included: 50_000_000 },
  bucketWrites: { dollarsPerMillion: 4.5, included: 1_000_000 },
} as const satisfies Record<string, Price>;

export type Charged = keyof typeof PRICES;
