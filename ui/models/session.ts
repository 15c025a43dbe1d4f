/** Who is signed in, and what they may do. */
import { computed, type ReadonlySignal, signal } from "@preact/signals";
import type { Role, Session } from "../../schema/api.ts";
import { type Api, ApiError, sentenceOf } from "../api.ts";

export type SessionState =
  | { readonly state: "unknown" }
  | { readonly state: "signed_in"; readonly session: Session }
  | { readonly state: "signed_out" }
  | { readonly state: "failed"; readonly problem: string };

/** What a role may do. The server decides; here it only says which buttons are shown. */
export interface Rights {
  /** Clients, projects, jobs. */
  readonly write: boolean;
  /** Agents, registration codes, storage connections, and letting a job remove source files. */
  readonly administer: boolean;
}

export interface SessionModel {
  readonly current: ReadonlySignal<SessionState>;
  readonly rights: ReadonlySignal<Rights>;
  load(): Promise<void>;
  signOut(): Promise<void>;
  /** The server said that the session is over. */
  lost(): void;
}

export function createSession(api: Api): SessionModel {
  const current = signal<SessionState>({ state: "unknown" });
  return {
    current,
    rights: computed(() =>
      rightsOf(current.value.state === "signed_in" ? current.value.session.user.role : "viewer"),
    ),
    async load() {
      try {
        current.value = { state: "signed_in", session: await api.session.get(new AbortController().signal) };
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) current.value = { state: "signed_out" };
        // A signed-in person whose connection is bad keeps the page; it says itself what it cannot load.
        else if (current.value.state !== "signed_in")
          current.value = { state: "failed", problem: sentenceOf(error) };
      }
    },
    async signOut() {
      await api.session.signOut();
      current.value = { state: "signed_out" };
    },
    lost() {
      current.value = { state: "signed_out" };
    },
  };
}

export function rightsOf(role: Role): Rights {
  return { write: role !== "viewer", administer: role === "admin" || role === "owner" };
}
