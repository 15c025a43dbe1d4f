/**
 * What somebody at this machine allows beyond moving files: `policy.json` in the state folder. The control plane can ask for
 * less than it says, never for more. Without the file nothing is ever removed from a source.
 *
 *     { "deleteRoots": ["/srv/archive", "D:\\Scans"] }
 */
import * as z from "zod";
import type { Disk } from "./platform.ts";
import { DiskError } from "./platform.ts";

export const POLICY_FILE = "policy.json";

const policy = z.strictObject({ deleteRoots: z.array(z.string().min(1)).max(1_000).default([]) });
export type Policy = z.infer<typeof policy>;

export class PolicyError extends Error {
  override readonly name = "PolicyError";
}

/** `text`: the file's, or null when there is none. Throws {@link PolicyError}. */
export function parsePolicy(text: string | null): Policy {
  if (text === null) return policy.parse({});
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch {
    throw new PolicyError(`Cannot read ${POLICY_FILE}: it is not JSON`);
  }
  const parsed = policy.safeParse(value);
  if (!parsed.success) throw new PolicyError(`Cannot read ${POLICY_FILE}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/** Whether files may be removed from this source: it is one of the roots or lies in one, by their real paths. */
export function mayRemove({ deleteRoots }: Policy, source: string, disk: Disk): boolean {
  const real = realPath(source, disk);
  return (
    real !== null &&
    deleteRoots.some((root) => {
      const allowed = realPath(root, disk);
      if (allowed === null) return false;
      const folder = allowed.endsWith(disk.separator) ? allowed : allowed + disk.separator;
      return real === allowed || real.startsWith(folder);
    })
  );
}

function realPath(path: string, disk: Disk): string | null {
  try {
    return disk.realPath(path);
  } catch (error) {
    if (error instanceof DiskError) return null;
    throw error;
  }
}
