/** Takes what the control plane serves of a release, within a size and a time, whoever answers. */
import { ApiUnreachable } from "../api.ts";
import type { AgentConfig } from "../config.ts";
import type { Platform } from "../platform.ts";

export interface Wanted {
  /** Behind the control plane's address. */
  readonly path: string;
  readonly bytesMax: number;
  readonly limitMs: number;
  /** Called with each piece, in their order. */
  readonly take: (piece: Uint8Array) => void;
}

/**
 * Resolves with whether it is there. Throws {@link ApiUnreachable} for any other answer, one that is larger, and none in
 * time; and what `take` throws.
 */
export async function download(
  platform: Platform,
  { url, key }: AgentConfig,
  { path, bytesMax, limitMs, take }: Wanted,
  signal: AbortSignal,
): Promise<boolean> {
  const limit = new AbortController();
  const over = new AbortController();
  platform.clock.sleep(limitMs, over.signal).then(
    () => limit.abort(new Error("not all of it came in time")),
    () => undefined,
  );
  const { host } = new URL(url);
  let response: Response | null = null;
  try {
    response = await platform.fetch(url + path, {
      headers: { Authorization: `Bearer ${key}` },
      // A redirect would carry the key elsewhere.
      redirect: "manual",
      signal: AbortSignal.any([signal, limit.signal]),
    });
    if (response.status === 404) return false;
    if (response.status !== 200) throw new ApiUnreachable(`${host} answered with status ${response.status}`);
    let taken = 0;
    for await (const piece of response.body ?? []) {
      taken += piece.length;
      if (taken > bytesMax)
        throw new ApiUnreachable(`${host} sends more than the ${bytesMax} bytes expected`);
      take(piece);
    }
    return true;
  } catch (error) {
    signal.throwIfAborted();
    // Of `take`, or ours.
    if (!(error instanceof TypeError) && !limit.signal.aborted) throw error;
    const reason = limit.signal.aborted ? "not all of it came in time" : String((error as Error).message);
    throw new ApiUnreachable(`Cannot download from ${host}: ${reason}`, { cause: error });
  } finally {
    over.abort();
    // What is left of it is not wanted; whoever sends without end is cut off.
    await response?.body?.cancel().catch(() => undefined);
  }
}
