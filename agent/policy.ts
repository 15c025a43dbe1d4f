/**
 * What somebody at this machine allows: `policy.json` in the state folder. The control plane can ask for less than it says,
 * never for more. Without the file the agent reads what its account can read, writes to the job's storage account, and
 * removes nothing from a source.
 *
 *     {
 *       "sourceRoots": ["/srv/shares", "D:\\Shares", "\\\\nas\\files"],
 *       "destinations": ["acmebackup", "acmearchive/plans"],
 *       "deleteRoots": ["/srv/shares/archive"],
 *       "updates": false
 *     }
 *
 * It is read anew for each question, so that a change holds at once. While it cannot be understood no job is begun: who
 * wrote it meant something by it.
 */
import * as z from "zod";
import type { JobConfig, JobDestination, JobError } from "../schema/job.ts";
import type { Disk } from "./platform.ts";
import { DiskError } from "./platform.ts";

export const POLICY_FILE = "policy.json";
const ENTRIES_MAX = 1_000;

const roots = z.array(z.string().min(1)).max(ENTRIES_MAX);
const policy = z.strictObject({
  /** Folders that may be read, with what is in them; without it, whatever the account may read. */
  sourceRoots: roots.optional(),
  /** Storage accounts that may be written to, or single containers of one; without it, those the jobs name. */
  destinations: z
    .array(
      z.string().regex(/^[a-z0-9]{3,24}(\/[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9])?$/, {
        error: "name a storage account, or account/container, in lower case and without an address",
      }),
    )
    .max(ENTRIES_MAX)
    .optional(),
  deleteRoots: roots.default([]),
  /** Whether the agent may put a newer release in its own place. */
  updates: z.boolean().default(true),
});
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

export interface LocalPolicyInput {
  /** The file's text as of now; null when there is none. May throw {@link PolicyError} when it cannot be read. */
  readonly read: () => string | null;
  readonly disk: Disk;
  readonly log: (event: "policy_refused", fields: { readonly message: string }) => void;
}

/** The policy of this machine, asked before each deed that it may forbid. */
export class LocalPolicy {
  readonly #input: LocalPolicyInput;

  constructor(input: LocalPolicyInput) {
    this.#input = input;
  }

  /** Why a job is not begun here, or null. */
  refusal({ source, destination }: Pick<JobConfig, "source" | "destination">): JobError | null {
    const found = this.#read();
    if (found instanceof PolicyError) {
      const message = `${found.message}. Nothing is moved from this machine until it is mended`;
      return { code: "SOURCE_REFUSED", message };
    }
    if (found.sourceRoots !== undefined && !isWithin(found.sourceRoots, source.path, this.#input.disk)) {
      const message = `Cannot use the source "${source.path}": ${POLICY_FILE} on the agent's machine does not allow it`;
      return { code: "SOURCE_REFUSED", message };
    }
    const message = destinationRefusal(found, destination);
    return message === null ? null : { code: "DESTINATION_REFUSED", message };
  }

  /** Why nothing is sent to this destination, or null. */
  destinationRefusal(destination: JobDestination): string | null {
    const found = this.#read();
    return found instanceof PolicyError ? found.message : destinationRefusal(found, destination);
  }

  /** Whether source files of a job may be removed. */
  mayRemove({ source }: Pick<JobConfig, "source">): boolean {
    const found = this.#read();
    return !(found instanceof PolicyError) && isWithin(found.deleteRoots, source.path, this.#input.disk);
  }

  /** Whether this agent may replace itself by a newer release. */
  get mayUpdate(): boolean {
    const found = this.#read();
    return !(found instanceof PolicyError) && found.updates;
  }

  /** Every folder that it names. */
  get roots(): readonly string[] {
    const found = this.#read();
    return found instanceof PolicyError
      ? []
      : [...new Set([...(found.sourceRoots ?? []), ...found.deleteRoots])];
  }

  #read(): Policy | PolicyError {
    try {
      return parsePolicy(this.#input.read());
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
      this.#input.log("policy_refused", { message: error.message });
      return error;
    }
  }
}

function destinationRefusal({ destinations }: Policy, { account, container }: JobDestination): string | null {
  if (destinations === undefined) return null;
  if (destinations.includes(account) || destinations.includes(`${account}/${container}`)) return null;
  return `Cannot write to container "${container}" of storage account "${account}": ${POLICY_FILE} on the agent's machine does not allow it`;
}

/** Whether a folder is one of the roots or lies in one, by their real paths. */
function isWithin(roots: readonly string[], folder: string, disk: Disk): boolean {
  const real = realPath(folder, disk);
  return (
    real !== null &&
    roots.some((root) => {
      const allowed = realPath(root, disk);
      if (allowed === null) return false;
      const stem = allowed.endsWith(disk.separator) ? allowed : allowed + disk.separator;
      return real === allowed || real.startsWith(stem);
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
