/** How the control plane is, for whoever watches it. It is public, so it names states and never values. */
import * as z from "zod";

const dependency = z.enum(["ok", "unreachable"]);

export const health = z.object({
  /**
   * `ok`: everything answers. `degraded`: people and agents are served, but something that works in the background does
   * not. `misconfigured` and `unavailable` come with status 503.
   */
  status: z.enum(["ok", "degraded", "misconfigured", "unavailable"]),
  product: z.string(),
  version: z.string(),
  checks: z.object({
    /** `behind`: migrations of this version are not applied. */
    database: z.object({
      state: z.enum(["ok", "behind", "unreachable"]),
      migration: z.string().nullable(),
    }),
    durableObjects: z.object({ state: dependency }),
    objectStorage: z.object({ state: z.enum(["ok", "unreachable", "not_bound"]) }),
    keyRing: z.object({ state: z.enum(["ok", "missing"]) }),
    /** `waiting`: it has not run yet. */
    cron: z.object({
      state: z.enum(["ok", "late", "waiting", "unreachable"]),
      lastRunAt: z.iso.datetime().nullable(),
    }),
  }),
});
export type Health = z.infer<typeof health>;
