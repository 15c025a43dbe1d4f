/**
 * Who is signed in, and what they may do.
 *
 * When a session ends, the page gives way to the one that signs in again, unless something on it would be lost: then it
 * stays as it is, says so, and goes on as soon as the same person is signed in again.
 */
import { batch, computed, type ReadonlySignal, signal } from "@preact/signals";
import type { Role, Session } from "../../schema/api.ts";
import { type Api, ApiError, sentenceOf } from "../api.ts";

export type SessionState =
  | { readonly state: "unknown" }
  | { readonly state: "signed_in"; readonly session: Session }
  /** `ended`: of itself, while somebody was at it. */
  | { readonly state: "signed_out"; readonly ended: boolean }
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
  /** The session has ended, and the page waits for the same person to sign in again. */
  readonly waits: ReadonlySignal<boolean>;
  load(): Promise<void>;
  signOut(): Promise<void>;
  /** The server said that the session is over. */
  lost(): void;
}

/** What a session asks of the page it is the session of. */
export interface SessionPage {
  /** Something on it is not saved. */
  hasUnsaved(): boolean;
  /** Somebody else has signed in: nothing that stands on it is theirs. */
  startOver(): void;
}

const NOTHING_TO_LOSE: SessionPage = { hasUnsaved: () => false, startOver: () => {} };

export function createSession(api: Api, page: SessionPage = NOTHING_TO_LOSE): SessionModel {
  const current = signal<SessionState>({ state: "unknown" });
  const waits = signal(false);

  function lost(): void {
    const wasSignedIn = current.value.state === "signed_in";
    if (wasSignedIn && page.hasUnsaved()) waits.value = true;
    else if (current.value.state !== "signed_out")
      current.value = { state: "signed_out", ended: wasSignedIn };
  }

  function found(session: Session): void {
    const before = current.value;
    if (before.state === "signed_in" && before.session.user.id !== session.user.id) return page.startOver();
    batch(() => {
      waits.value = false;
      current.value = { state: "signed_in", session };
    });
  }

  return {
    current,
    rights: computed(() =>
      rightsOf(current.value.state === "signed_in" ? current.value.session.user.role : "viewer"),
    ),
    waits,
    async load() {
      try {
        found(await api.session.get(new AbortController().signal));
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) lost();
        // A signed-in person whose connection is bad keeps the page; it says itself what it cannot load.
        else if (current.value.state !== "signed_in")
          current.value = { state: "failed", problem: sentenceOf(error) };
      }
    },
    async signOut() {
      await api.session.signOut();
      batch(() => {
        waits.value = false;
        current.value = { state: "signed_out", ended: false };
      });
    },
    lost,
  };
}

export function rightsOf(role: Role): Rights {
  return { write: role !== "viewer", administer: role === "admin" || role === "owner" };
}
