/** The newest release of the agent, as the downloads page offers it. */
import type { ReleaseShown } from "../../schema/release.ts";
import type { Api } from "../api.ts";
import { createRemote, type Remote } from "./remote.ts";
import type { ReadonlySignal } from "@preact/signals";

export type Release = ReleaseShown["release"];
export type ReleasedFile = NonNullable<Release>["files"][number];

export interface ReleaseModel {
  readonly remote: ReadonlySignal<Remote<ReleaseShown>>;
  /** Also asks anew. */
  open(): void;
  close(): void;
}

export function createRelease({ api }: { api: Api }): ReleaseModel {
  const { remote, reload, close } = createRemote((signal) => api.release(signal));
  return { remote, open: () => void reload(), close };
}

/** Where a browser takes it from; the session's cookie goes with it. */
export function executablePath({ path }: Pick<ReleasedFile, "path">): string {
  return `/api/release/executable?path=${encodeURIComponent(path)}`;
}
