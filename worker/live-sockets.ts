/** Closes the live sockets of sessions that ended this moment. What is not heard of here is noticed within a minute. */
import type { Env } from "./env.ts";

export async function endLiveSockets(env: Env, orgId: string, sessionIds: readonly string[]): Promise<void> {
  if (sessionIds.length === 0) return;
  try {
    await env.FEED.getByName(orgId).endSessions(orgId, sessionIds);
  } catch (error) {
    console.error(JSON.stringify({ event: "live_sockets_not_told", reason: String(error) }));
  }
}
